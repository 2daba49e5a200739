"""Schedules as systemd timers: missed nights are caught up, one at a time, deaths are reported."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from sandbox.errors import EnvironmentFault
from sandbox.sweeps.schedule.job import PREFIX, Installed, Job

_SYSTEM = Path("/etc/systemd/system")
_CALENDAR = re.compile(r"^OnCalendar=(.*)$", re.MULTILINE)


def files(job: Job, *, user: bool) -> dict[str, str]:
    """Return the units of a schedule, by file name.

    Args:
        job: The schedule.
        user: Whether it is for a user's own systemd.
    """
    return {
        f"{job.name}.service": _service(job, user=user),
        f"{job.name}.timer": _timer(job),
        f"{job.name}-failed.service": _failure_service(job, user=user),
    }


def _service(job: Job, *, user: bool) -> str:
    # A user's systemd has no network-online.target.
    network = "" if user else "Wants=network-online.target\nAfter=network-online.target\n"
    return f"""\
[Unit]
Description=Sweep {job.sweep} of agent-risk-sandbox
OnFailure={job.name}-failed.service
{network}
[Service]
Type=exec
{_execution(job, job.command())}
# containers get cgroups of their own below this one
Delegate=yes
Nice=5
KillMode=mixed
TimeoutStopSec=60
"""


def _timer(job: Job) -> str:
    return f"""\
[Unit]
Description=When the sweep {job.sweep} of agent-risk-sandbox is executed

[Timer]
OnCalendar={job.when.calendar()}
# a night that was missed is caught up after the start; one that goes on is never begun twice
Persistent=true

[Install]
WantedBy=timers.target
"""


def _failure_service(job: Job, *, user: bool) -> str:
    return f"""\
[Unit]
Description=Report that a night of the sweep {job.sweep} of agent-risk-sandbox failed

[Service]
Type=oneshot
{_execution(job, job.report())}
"""


def _execution(job: Job, command: list[str]) -> str:
    if re.search(r"[\"'\\$]", command[0]):
        command = ["/usr/bin/env", *command]  # systemd takes no such signs in a program's path
    lines = [
        f"WorkingDirectory={_plain(str(job.folder))}",
        *([f"EnvironmentFile={_plain(str(job.environment))}"] if job.environment else []),
        f"ExecStart={' '.join(map(_quote, command))}",
    ]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Return a path as a setting takes it: no quotes, but specifiers (systemd.unit(5))."""
    return text.replace("%", "%%")


def _quote(word: str) -> str:
    """Return a word of a command line (systemd.service(5), COMMAND LINES)."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if re.search(r"[^\w@%+=:,./$-]", escaped) or not word else escaped


def folder(*, user: bool) -> Path:
    """Return where units are put."""
    return Path.home() / ".config" / "systemd" / "user" if user else _SYSTEM


def verify(units: Mapping[str, str], *, user: bool) -> None:
    """Have systemd check units, where it is there.

    Raises:
        EnvironmentFault: It refuses them.
    """
    with TemporaryDirectory() as place:
        paths = {str(Path(place) / name): text for name, text in units.items()}
        for path, text in paths.items():
            Path(path).write_text(text, "utf-8")
        words = ["systemd-analyze", *(["--user"] if user else []), "verify", "--man=no", *paths]
        # --user needs the variable even if no systemd runs, as in a container
        environment = {"XDG_RUNTIME_DIR": place, **os.environ}
        try:
            done = subprocess.run(
                words, check=False, capture_output=True, text=True, env=environment
            )
        except FileNotFoundError:
            return
    if done.returncode:
        raise EnvironmentFault(f"systemd-analyze verify: {done.stderr.strip()[-1000:]}")


def install(job: Job, *, user: bool) -> list[Path]:
    """Write the units and enable the timer; return the files.

    Raises:
        EnvironmentFault: systemd does not take them, or does not run.
    """
    units = files(job, user=user)
    verify(units, user=user)
    _control("daemon-reload", user=user)  # where systemd does not run, nothing is written
    place = folder(user=user)
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name, text in units.items():
            (place / name).write_text(text, "utf-8")
    except OSError as error:
        raise EnvironmentFault(f"cannot write {place}: {error.strerror}") from error
    _control("daemon-reload", user=user)
    _control("enable", "--now", f"{job.name}.timer", user=user)
    return [place / name for name in units]


def remove(sweep: str, *, user: bool) -> list[Path]:
    """Disable the timer of a sweep and delete its units; return the files.

    A night that goes on comes to its end.
    """
    name, place = PREFIX + sweep, folder(user=user)
    units = (place / f"{name}{end}" for end in (".timer", ".service", "-failed.service"))
    if paths := [path for path in units if path.exists()]:
        _control("disable", "--now", f"{name}.timer", user=user)
        try:
            for path in paths:
                path.unlink()
        except OSError as error:
            raise EnvironmentFault(f"cannot delete in {place}: {error.strerror}") from error
        _control("daemon-reload", user=user)
    return paths


def installed() -> list[Installed]:
    """Return the schedules that are there."""
    schedules = []
    for user, how in ((True, "systemd --user"), (False, "systemd")):
        for path in sorted(folder(user=user).glob(f"{PREFIX}*.timer")):
            when = _CALENDAR.search(path.read_text("utf-8", "replace"))
            sweep = path.stem.removeprefix(PREFIX)
            schedules.append(Installed(sweep, how, when[1] if when else "", str(path)))
    return schedules


def _control(*words: str, user: bool) -> None:
    command = ["systemctl", *(["--user"] if user else []), *words]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise EnvironmentFault("there is no systemd here: --write DIR only writes files") from None
    if done.returncode:
        reason = done.stderr.strip() or done.stdout.strip()
        raise EnvironmentFault(
            f"{' '.join(command)}: {reason[-500:]}; --write DIR only writes files"
        )
