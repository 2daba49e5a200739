"""``sandbox schedule``: sweeps night after night, by systemd, cron or Kubernetes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sandbox.cli.output import Json, console, note, print_json, table
from sandbox.cli.settings import Settings
from sandbox.errors import InputError

if TYPE_CHECKING:
    from sandbox.sweeps.schedule.job import Job

app = typer.Typer(
    help="Execute a sweep night after night: systemd, cron, Kubernetes.", no_args_is_help=True
)


@app.command()
def install(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The sweep file.", metavar="FILE")],
    at: Annotated[
        str, typer.Option(help="02:00, mon-fri 02:00, or mon,thu 22:30.", metavar="TIME")
    ],
    systemd: Annotated[bool, typer.Option("--systemd", help="As a systemd timer.")] = False,
    crontab: Annotated[bool, typer.Option("--crontab", help="In this user's crontab.")] = False,
    kubernetes: Annotated[
        bool, typer.Option("--kubernetes", help="As a CronJob, written to --write or stdout.")
    ] = False,
    user: Annotated[
        bool, typer.Option("--user", help="In this user's systemd, not the system's.")
    ] = False,
    write: Annotated[
        Path | None, typer.Option(help="Only write the files there.", metavar="DIR")
    ] = None,
    environment: Annotated[
        Path | None,
        typer.Option(
            help="File with NAME=value lines: keys, SANDBOX_STORE, SANDBOX_NOTIFY.", metavar="FILE"
        ),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="As for 'sandbox sweep'.", metavar="ADDRESS")
    ] = None,
    fail_on: Annotated[str | None, typer.Option(help="As for 'sandbox sweep'.")] = None,
    log: Annotated[
        Path | None, typer.Option(help="As for 'sandbox sweep'.", metavar="FILE")
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="With --kubernetes: image with package and workspace.")
    ] = None,
    zone: Annotated[str, typer.Option(help="With --kubernetes: time zone.")] = "Etc/UTC",
    as_json: Json = False,
) -> None:
    """Have a sweep executed at a time of the day; in place of a schedule of the same name.

    What is secret belongs into --environment (with Kubernetes: into the secret agent-risk-sandbox).
    """
    if systemd + crontab + kubernetes != 1:
        raise InputError("name one of --systemd, --crontab and --kubernetes")
    if kubernetes and not image:
        raise InputError("--kubernetes needs --image: where package and workspace are")
    place = log.resolve() if log and not kubernetes else log
    options = _options({"--cluster": cluster, "--fail-on": fail_on, "--log": place})
    job = _job(Settings.of(context), file, at, environment, options, in_image=kubernetes)
    texts = _texts(job, user, image, zone, systemd=systemd, crontab=crontab)
    if write is not None or kubernetes:
        made = _written(texts, write, as_json)
    elif systemd:
        from sandbox.sweeps.schedule import systemd as by_systemd

        made = [str(path) for path in by_systemd.install(job, user=user)]
    else:
        from sandbox.sweeps.schedule import crontab as by_cron

        by_cron.install(job)
        made = ["crontab -l"]
    if as_json:
        print_json({"sweep": job.sweep, "when": str(job.when), "files": made, "texts": texts})
        return
    for name in made:
        note(f"made {name}")
    if write is None and not kubernetes:
        note(f"the sweep {job.sweep} is executed at {job.when}; next: sandbox schedule list")


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the schedules in systemd's folders and in this user's crontab."""
    from sandbox.sweeps.schedule import crontab, systemd

    found = [*systemd.installed(), *crontab.installed()]
    if as_json:
        print_json({"schedules": [vars(item) for item in found]})
        return
    table(
        ("sweep", "by", "when", "where"), [(f.sweep, f.how, f.when, f.where) for f in found]
    ) if found else note("no sweep is scheduled here")


@app.command()
def remove(
    sweep: Annotated[str, typer.Argument(help="Name of the sweep.", metavar="NAME")],
    as_json: Json = False,
) -> None:
    """Remove every schedule of a sweep; a night that goes on comes to its end."""
    from sandbox.errors import nearest
    from sandbox.sweeps.schedule import crontab, systemd

    found = [*systemd.installed(), *crontab.installed()]
    chosen = [item for item in found if item.sweep == sweep]
    if not chosen:
        names = {item.sweep for item in found}
        raise InputError(f"the sweep {sweep!r} is not scheduled here{nearest(sweep, names)}")
    for item in chosen:
        if item.how == "crontab":
            crontab.remove(sweep)
        else:
            systemd.remove(sweep, user=item.how == "systemd --user")
        note(f"removed: {item.how}, {item.when}")
    if as_json:
        print_json({"removed": [vars(item) for item in chosen]})


@app.command()
def failed(
    context: typer.Context,
    sweep: Annotated[str, typer.Argument(help="Name of the sweep.", metavar="NAME")],
    notify: Annotated[
        list[str] | None,
        typer.Option(envvar="SANDBOX_NOTIFY", help="As for 'sandbox sweep'.", metavar="URL"),
    ] = None,
) -> None:
    """Report a night whose process died without a word; schedulers call it.

    Nights that failed otherwise have told so themselves.
    """
    from sandbox.cli.sweep_run import tell
    from sandbox.sweeps import notify as notifying
    from sandbox.sweeps import scheduled_run
    from sandbox.sweeps.log import log, logging_to

    with Settings.of(context).open_store() as store, logging_to(None, stderr=True):
        row = scheduled_run.died(store, sweep)
        if row is not None:
            log("sweep.died", level=logging.ERROR, sweep=row.id, name=row.name)
    if row is None:
        note(f"no sweep {sweep!r} has died without a word")
        return
    note(f"sweep {row.id} ({row.name}): {row.reason}")
    reason = f"{row.reason}. What had finished is stored. Go on: sandbox sweep resume {row.id}"
    tell(notify or (), notifying.failure(row.name, reason))


def _options(values: Mapping[str, str | Path | None]) -> tuple[str, ...]:
    return tuple(word for name, value in values.items() if value for word in (name, str(value)))


def _job(
    settings: Settings,
    file: Path,
    at: str,
    environment: Path | None,
    options: tuple[str, ...],
    *,
    in_image: bool,
) -> Job:
    """Return what is to be scheduled: the sweep file must be in order now."""
    from sandbox.sweeps import matrix, spec
    from sandbox.sweeps.schedule.job import Job
    from sandbox.sweeps.schedule.recurrence import When

    when = When.parse(at)
    chosen, document = spec.read(file)
    matrix.prepare(chosen, document, settings.loader, settings.library)
    if environment is not None and not environment.is_file():
        raise InputError(f"--environment: there is no file {environment}")
    store = ("--store", _absolute(settings.store_url)) if settings.store_url else ()
    workspace = str(settings.folder.resolve())
    program = (
        ("sandbox", *store)
        if in_image
        else (sys.executable, "-m", "sandbox", *store, "--workspace", workspace)
    )
    return Job(
        chosen.name,
        when,
        program,
        file if in_image else file.resolve(),
        settings.folder.resolve(),
        tuple(options),
        environment.resolve() if environment else None,
    )


def _absolute(url: str) -> str:
    if "@" in url and ":" in url.partition("://")[2].partition("@")[0]:
        raise InputError(
            "a password would stand in the schedule: leave --store out and put SANDBOX_STORE into "
            "the file of --environment"
        )
    return url if "://" in url else str(Path(url).resolve())


def _texts(
    job: Job, user: bool, image: str | None, zone: str, *, systemd: bool, crontab: bool
) -> dict[str, str]:
    if systemd:
        from sandbox.sweeps.schedule.systemd import files

        return files(job, user=user)
    if crontab:
        from sandbox.sweeps.schedule.crontab import block

        return {f"{job.name}.crontab": block(job)}
    from sandbox.sweeps.schedule.kubernetes import text

    return {f"{job.name}.yaml": text(job, str(image), zone=zone)}


def _written(texts: dict[str, str], folder: Path | None, as_json: bool) -> list[str]:
    if folder is None:
        if not as_json:
            console().out("\n".join(texts.values()), end="")
        return []
    made = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, "utf-8")
            made.append(str(folder / name))
    except OSError as error:
        raise InputError(f"--write {folder}: {error.strerror}") from error
    return made
