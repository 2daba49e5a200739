"""Schedules: what is written is accepted by the schedulers' own checkers, whatever paths hold."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from sandbox.errors import InputError
from sandbox.sweeps.schedule import crontab, kubernetes, systemd
from sandbox.sweeps.schedule.job import Job
from sandbox.sweeps.schedule.recurrence import When

PLAIN = Path("/srv/sandbox")
ODD = Path('/srv/it\'s 100% "odd" $HOME \\ é')


def job(folder: Path = PLAIN, at: str = "mon-fri 02:00", **more: object) -> Job:
    """Return a schedule with files in a folder."""
    program = (str(folder / "python"), "-m", "sandbox", "--workspace", str(folder))
    return Job("nightly", When.parse(at), program, folder / "sweep.yaml", folder, **more)  # type: ignore[arg-type]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with an odd name that holds a program, as systemd wants to see it."""
    folder = tmp_path / '100% "odd" it\'s $HOME é'
    folder.mkdir()
    (folder / "python").symlink_to("/bin/true")
    (folder / "environment").write_text("SANDBOX_STORE=x.db\n")
    return folder


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("user", [True, False])
def test_systemd_accepts_the_units(place: Path, user: bool) -> None:
    """``systemd-analyze verify`` finds nothing, also with odd paths."""
    made = job(place, environment=place / "environment", options=("--cluster", "tcp://h:1"))
    systemd.verify(systemd.files(made, user=user), user=user)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("at", ["02:00", "mon-fri 22:30", "sun 0:05"])
def test_systemd_understands_the_time(at: str) -> None:
    """The timer's calendar means what was said."""
    made = When.parse(at)
    words = ["systemd-analyze", "calendar", "--iterations=1", made.calendar()]
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert f"{made.hour:02d}:{made.minute:02d}:00" in told


def test_the_timer_catches_up_and_deaths_are_reported() -> None:
    """A missed night is caught up; a night that dies has somebody report it."""
    units = systemd.files(job(), user=True)
    assert "Persistent=true" in units["agent-risk-sandbox-nightly.timer"]
    service = units["agent-risk-sandbox-nightly.service"]
    assert "OnFailure=agent-risk-sandbox-nightly-failed.service" in service
    assert "schedule failed nightly" in units["agent-risk-sandbox-nightly-failed.service"]
    assert '"--night=mon,tue,wed,thu,fri 02:00"' in service


@pytest.mark.parametrize("at", ["02:00", "mon-fri 22:30", "sat,sun 0:05"])
def test_cron_understands_the_time(at: str) -> None:
    """The line's five fields come next at the time and on a day that was said."""
    from croniter import croniter

    made = When.parse(at)
    start = datetime(2026, 3, 4, 12, 0)  # noqa: DTZ001 - cron's times are local
    moments = croniter(made.cron(), start)
    for _ in range(8):
        moment = moments.get_next(datetime)
        assert (moment.hour, moment.minute) == (made.hour, made.minute)
        assert moment.weekday() in made.days


@pytest.mark.parametrize("folder", [PLAIN, ODD])
def test_the_lines_are_what_a_shell_understands(folder: Path) -> None:
    """After cron has taken its percent signs, a shell reads the very paths."""
    block = crontab.block(job(folder, environment=folder / "environment"))
    begin, line, reboot, end, rest = block.split("\n")
    assert (begin, end, rest) == (
        "# agent-risk-sandbox-nightly begin",
        "# agent-risk-sandbox-nightly end",
        "",
    )
    assert line.startswith("0 2 * * 1,2,3,4,5 cd ")
    assert reboot.removeprefix("@reboot ") == line.removeprefix("0 2 * * 1,2,3,4,5 ")
    command = reboot.removeprefix("@reboot ").replace("\\%", "%")
    subprocess.run(["sh", "-n", "-c", command], check=True)
    words = shlex.split(command.replace(";", " ; "))
    assert {str(folder), str(folder / "sweep.yaml"), str(folder / "environment")} <= set(words)


@pytest.mark.skipif(shutil.which("crontab") is None, reason="cron is not installed")
def test_cron_accepts_the_lines(tmp_path: Path) -> None:
    """A dry run of ``crontab`` finds nothing; Debian 12 calls it -n, later ones -T."""
    path = tmp_path / "table"
    path.write_text(crontab.block(job(ODD)))
    dry = (
        "-n"
        if "dry run"
        in subprocess.run(["crontab", "-h"], capture_output=True, text=True, check=False).stderr
        else "-T"
    )
    subprocess.run(["crontab", dry, str(path)], check=True)


def test_a_block_takes_the_place_of_its_like() -> None:
    """Only the block of that name is taken out of a table."""
    other = Job("other", When.parse("03:00"), ("p",), PLAIN / "o.yaml", PLAIN)
    table = "MAILTO=a@b\n" + crontab.block(job()) + crontab.block(other) + "5 * * * * x\n"
    rest = crontab.without(table, job().name)
    assert rest == "MAILTO=a@b\n" + crontab.block(other) + "5 * * * * x\n"
    assert crontab.without(rest, job().name) == rest


def test_kubernetes_accepts_the_object() -> None:
    """The CronJob fits the schema of its API, strictly; two never go on at once."""
    import kubernetes_validate

    read = yaml.safe_load(kubernetes.text(job(), "registry/x:1", zone="Europe/Paris"))
    kubernetes_validate.validate(read, "1.29", strict=True)
    assert read["spec"]["concurrencyPolicy"] == "Forbid"
    assert read["spec"]["schedule"] == "0 2 * * 1,2,3,4,5"


def test_a_name_too_long_for_kubernetes() -> None:
    """A name that a CronJob cannot have is told before anybody applies the file."""
    long = Job("n" * 40, When.parse("03:00"), ("p",), PLAIN / "o.yaml", PLAIN)
    with pytest.raises(InputError, match="longer than"):
        kubernetes.text(long, "x")


@pytest.mark.parametrize("sign", ["\n", "\r", "\x00", "\x1b"])
def test_control_characters_are_refused(sign: str) -> None:
    """A path that would begin a line of its own in a unit or a table is refused."""
    with pytest.raises(InputError, match="control characters"):
        job(Path(f"/srv/a{sign}ExecStart=b"))
