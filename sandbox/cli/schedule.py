"""``sandbox schedule``: sweeps night after night, by systemd, cron or Kubernetes."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from sandbox.cli.command import Json, Settings, console, note, print_json, reply, table
from sandbox.cli.sweep_run import send
from sandbox.errors import InputError, nearest
from sandbox.sweeps import matrix, scheduled_run, spec
from sandbox.sweeps import notify as notifying
from sandbox.sweeps.log import log, logging_to
from sandbox.sweeps.schedule import crontab as by_cron
from sandbox.sweeps.schedule import kubernetes as by_kubernetes
from sandbox.sweeps.schedule import systemd as by_systemd
from sandbox.sweeps.schedule.job import Job
from sandbox.sweeps.schedule.recurrence import When


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
    flags = {"--cluster": cluster, "--fail-on": fail_on, "--log": place}
    options = tuple(word for flag, value in flags.items() if value for word in (flag, str(value)))
    job = _job(Settings.of(context), file, at, environment, options, in_image=kubernetes)
    if systemd:
        texts = by_systemd.files(job, user=user)
    elif crontab:
        texts = {f"{job.name}.crontab": by_cron.block(job)}
    else:
        texts = {f"{job.name}.yaml": by_kubernetes.text(job, str(image), zone=zone)}
    files = _put(job, texts, write, user=user, systemd=systemd, crontab=crontab)
    if kubernetes and write is None and not as_json:
        console().out("\n".join(texts.values()), end="")
    if as_json:
        print_json({"sweep": job.sweep, "when": str(job.when), "files": files, "texts": texts})
        return
    for name in files:
        note(f"made {name}")
    if write is None and not kubernetes:
        note(f"the sweep {job.sweep} is executed at {job.when}; next: sandbox schedule list")


def list_(as_json: Json = False) -> None:
    """List the schedules in systemd's folders and in this user's crontab."""
    installed = [*by_systemd.installed(), *by_cron.installed()]
    rows = [(item.sweep, item.how, item.when, item.where) for item in installed]
    headings = ("sweep", "by", "when", "where")
    reply(
        as_json,
        {"schedules": [vars(item) for item in installed]},
        lambda: table(headings, rows) if rows else note("no sweep is scheduled here"),
    )


def remove(
    sweep: Annotated[str, typer.Argument(help="Name of the sweep.", metavar="NAME")],
    as_json: Json = False,
) -> None:
    """Remove every schedule of a sweep; a night that is running is not stopped."""
    installed = [*by_systemd.installed(), *by_cron.installed()]
    chosen = [item for item in installed if item.sweep == sweep]
    if not chosen:
        known = nearest(sweep, {item.sweep for item in installed})
        raise InputError(f"the sweep {sweep!r} is not scheduled here{known}")
    for item in chosen:
        if item.how == "crontab":
            by_cron.remove(sweep)
        else:
            by_systemd.remove(sweep, user=item.how == "systemd --user")
        note(f"removed: {item.how}, {item.when}")
    if as_json:
        print_json({"removed": [vars(item) for item in chosen]})


def failed(
    context: typer.Context,
    sweep: Annotated[str, typer.Argument(help="Name of the sweep.", metavar="NAME")],
    notify: Annotated[
        list[str] | None,
        typer.Option(envvar="SANDBOX_NOTIFY", help="As for 'sandbox sweep'.", metavar="URL"),
    ] = None,
) -> None:
    """Report a night whose process died silently; schedulers call it.

    Nights that failed otherwise have reported it themselves.
    """
    with Settings.of(context).open_store() as store, logging_to(None, stderr=True):
        row = scheduled_run.find_dead(store, sweep)
        if row is not None:
            log("sweep.died", level=logging.ERROR, sweep=row.id, name=row.name)
    if row is None:
        note(f"no night of the sweep {sweep!r} has died silently")
        return
    note(f"sweep {row.id} ({row.name}): {row.reason}")
    reason = f"{row.reason}. What had finished is stored. Go on: sandbox sweep resume {row.id}"
    send(notify or (), notifying.failure(row.name, reason))


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
        options,
        environment.resolve() if environment else None,
    )


def _absolute(url: str) -> str:
    if "@" in url and ":" in url.partition("://")[2].partition("@")[0]:
        raise InputError(
            "a password would stand in the schedule: leave --store out and put SANDBOX_STORE into "
            "the file of --environment"
        )
    return url if "://" in url else str(Path(url).resolve())


def _put(
    job: Job,
    texts: dict[str, str],
    folder: Path | None,
    *,
    user: bool,
    systemd: bool,
    crontab: bool,
) -> list[str]:
    """Write a schedule to a folder, or install it; return where it is."""
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in texts.items():
                (folder / name).write_text(text, "utf-8")
        except OSError as error:
            raise InputError(f"--write {folder}: {error.strerror}") from error
        return [str(folder / name) for name in texts]
    if systemd:
        return [str(path) for path in by_systemd.install(job, user=user)]
    if crontab:
        by_cron.install(job)
    return ["crontab -l"] if crontab else []
