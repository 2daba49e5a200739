"""Schedules as blocks of a user's crontab: two lines, one for each night, one for what was missed."""

from __future__ import annotations

import re
import shlex
import subprocess

from sandbox.errors import EnvironmentFault
from sandbox.sweeps.schedule.job import PREFIX, Installed, Job

_BEGIN, _END = "# {name} begin", "# {name} end"
_LINE = re.compile(r"^([^#@\s]\S*\s+\S+\s+\S+\s+\S+\s+\S+)\s", re.MULTILINE)


def block(job: Job) -> str:
    """Return the lines of a schedule.

    The second one catches up after the machine was off: ``--night`` does nothing where the night that
    was due last has been.
    """
    command = _line(job)
    return "\n".join(
        [
            _BEGIN.format(name=job.name),
            f"{job.when.cron()} {command}",
            f"@reboot {command}",
            _END.format(name=job.name),
            "",
        ]
    )


def _line(job: Job) -> str:
    night, report = (shlex.join(words) for words in (job.command(), job.report()))
    steps = [f"cd {shlex.quote(str(job.folder))}"]
    if job.environment:
        steps.append(f"set -a && . {shlex.quote(str(job.environment))} && set +a")
    # killed by a signal, it could not report that itself; what it prints, cron mails
    steps.append(f"{{ {night}; s=$?; [ $s -lt 128 ] || {report}; }}")
    return " && ".join(steps).replace("%", "\\%")  # cron would make line breaks of them


def without(text: str, name: str) -> str:
    """Return a crontab without the block of a name."""
    begin, end = (re.escape(mark.format(name=name)) for mark in (_BEGIN, _END))
    return re.sub(rf"^{begin}\n.*?^{end}\n?", "", text, flags=re.MULTILINE | re.DOTALL)


def install(job: Job) -> None:
    """Put a schedule into this user's crontab, in place of one of the same name.

    Raises:
        EnvironmentFault: There is no cron, or it refuses.
    """
    text = without(_read(), job.name)
    if text and not text.endswith("\n"):
        text += "\n"
    _write(text + block(job))


def remove(sweep: str) -> bool:
    """Take a schedule out of this user's crontab; return whether it was there."""
    text = _read()
    rest = without(text, PREFIX + sweep)
    if rest == text:
        return False
    _write(rest)
    return True


def installed() -> list[Installed]:
    """Return the schedules in this user's crontab; none where there is no cron."""
    try:
        text = _read()
    except EnvironmentFault:
        return []
    blocks = re.finditer(rf"^# {PREFIX}(\S+) begin$", text, re.MULTILINE)
    lines = ((block[1], _LINE.search(text, block.end())) for block in blocks)
    return [Installed(name, "crontab", ln[1] if ln else "", "crontab -l") for name, ln in lines]


def _read() -> str:
    done = _crontab("-l")
    if done.returncode and "no crontab" not in done.stderr:
        raise EnvironmentFault(f"crontab -l: {done.stderr.strip()}")
    return done.stdout if done.returncode == 0 else ""


def _write(text: str) -> None:
    done = _crontab("-", text)
    if done.returncode:
        raise EnvironmentFault(f"crontab refuses the new table: {done.stderr.strip()}")


def _crontab(argument: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["crontab", argument], check=False, capture_output=True, text=True, input=text
        )
    except FileNotFoundError:
        raise EnvironmentFault(
            "there is no cron here: apt-get install cron, or --write DIR to only write the lines"
        ) from None
