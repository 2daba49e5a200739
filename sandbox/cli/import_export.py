"""``sandbox runs import`` and ``export``, ``sandbox key``: traces from and for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from sandbox.attestation import signatures
from sandbox.cli.command import Json, Settings, complain, console, errors, note, reply
from sandbox.errors import InputError
from sandbox.interop.importers import ingest
from sandbox.interop.importers.ingest import ImportReport
from sandbox.terminal_escape import one_line
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

_MOST = 20
"""Problems that are printed one by one."""


def import_(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(help="Files, or folders of files.", metavar="PATH…")
    ],
    format_: Annotated[
        str,
        typer.Option("--format", help="agentdojo, inspect, chat, pack; auto looks at the file."),
    ] = "auto",
    labels: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns path and class: corrected outcomes.", metavar="FILE"
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="Public key that must have signed evidence packs.", metavar="PUB"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Import runs: AgentDojo's, logs of Inspect, plain chats, evidence packs. Nothing comes in twice."""
    outcomes = ingest.read_labels(labels) if labels else {}
    files = ingest.files(paths)
    with Settings.of(context).open_store() as store, _status("reading …") as show:

        def progress(report: ImportReport, path: Path) -> None:
            count = f"{report.entered} imported, {report.present} there already"
            show(f"{one_line(path.name, 40)}: {count}")

        report = ingest.enter(
            store,
            files,
            format_name=format_,
            corrected=outcomes,
            progress=progress,
            key=signatures.public_key(key) if key else None,
        )
    document = {
        "imported": report.entered,
        "present": report.present,
        "labels": report.labelled,
        "runs": report.runs,
        "problems": [vars(problem) for problem in report.problems],
    }
    reply(as_json, document, lambda: _print(report), 1 if report.problems else 0)


def _print(report: ImportReport) -> None:
    for problem in report.problems[:_MOST]:
        complain(InputError(str(problem)))
    if len(report.problems) > _MOST:
        complain(InputError(f"{len(report.problems) - _MOST} more problems; --json lists all"))
    parts = [f"{report.entered} runs imported", f"{report.present} were there already"]
    parts += [f"{report.labelled} labels set"] if report.labelled else []
    parts += [f"{len(report.problems)} records could not be used"] if report.problems else []
    console().print(", ".join(parts), style="bold")


def export(
    context: typer.Context,
    runs: Annotated[
        list[str],
        typer.Argument(help="Runs, or beginnings of ids; all for every run.", metavar="RUN…"),
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to", help="File; for inspect also a folder, for otel a URL.", metavar="FILE"
        ),
    ],
    format_: Annotated[
        str, typer.Option("--format", help="inspect, otel, parquet, jsonl or pack.")
    ] = "pack",
    sign: Annotated[
        Path | None, typer.Option(help="Private key that signs an evidence pack.", metavar="KEY")
    ] = None,
    pseudonymise: Annotated[
        Path | None,
        typer.Option(
            help="Replace personal data by pseudonyms of this key; made if it is not there.",
            metavar="KEYFILE",
        ),
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option(help="With --pseudonymise: names of people, one a line.", metavar="FILE"),
    ] = None,
    scenario: Annotated[
        str | None, typer.Option(help="Of all runs, only of this scenario.")
    ] = None,
    family: Annotated[str | None, typer.Option(help="Of all runs, only of this family.")] = None,
    model: Annotated[str | None, typer.Option(help="Of all runs, only with this model.")] = None,
    as_json: Json = False,
) -> None:
    """Export runs: an evidence pack, a log of Inspect, OpenTelemetry spans, Parquet tables, JSONL."""
    if sign is not None and format_ != "pack":
        raise InputError("--sign: only evidence packs are signed")
    if names is not None and pseudonymise is None:
        raise InputError("--names: names are replaced with --pseudonymise KEYFILE")
    more: dict[str, dict[str, int]] = {}
    with Settings.of(context).open_store(reading=True) as store, ExitStack() as stack:
        if runs == ["all"]:
            rows = store.runs(scenario=scenario, family=family, model=model)
        else:
            rows = list({row.id: row for row in map(store.run, runs)}.values())
        if not rows:
            raise InputError("there are no such runs")
        show, total = stack.enter_context(_status("writing …")), len(rows)

        def progress(done: int) -> None:
            show(f"{done} of {total} runs")

        source = store
        if pseudonymise is not None:
            from sandbox.privacy import pseudonymization as copies
            from sandbox.privacy.pseudonym_keys import made_key
            from sandbox.privacy.pseudonyms import Pseudonymiser

            copies.refuse_key_in(to, pseudonymise)
            people = copies.read_names(names) if names else []
            pseudonymiser = Pseudonymiser(made_key(pseudonymise), people)
            copy = copies.pseudonymised(store, rows, pseudonymiser, progress)
            source, rows = stack.enter_context(copy)
            counts = sorted(pseudonymiser.replaced.items())
            more = {"replaced": {str(kind): count for kind, count in counts}}
        _export(source, rows, to, format_, sign, progress)
    document = {"format": format_, "to": to, "runs": [row.id for row in rows], **more}
    reply(as_json, document, f"{len(rows)} runs written to {to}")
    if as_json:
        return
    if more:
        words = ", ".join(f"{count} {kind}" for kind, count in more["replaced"].items())
        note(f"replaced: {words or 'nothing'}; keep {pseudonymise} apart from what you give away")
    if format_ == "pack" and sign is None:
        note("the pack is not signed; make a key with: sandbox key new DIR")


def _export(
    store: Store,
    rows: list[RunRow],
    to: str,
    format_: str,
    sign: Path | None,
    progress: Callable[[int], None],
) -> None:
    if format_ == "pack":
        from sandbox.attestation.pack_writer import write_pack
        from sandbox.views.replay_html import together

        secret = signatures.private_key(sign) if sign else None
        write_pack(store, rows, Path(to), key=secret, replay=together, progress=progress)
    else:
        from sandbox.interop.exporters.exporter import exporter

        exporter(format_)(store, rows, to, progress)


@contextmanager
def _status(text: str) -> Iterator[Callable[[str], None]]:
    """Show on a terminal how far the work is."""
    if not errors().is_terminal:
        yield lambda _: None
        return
    with errors().status(text) as status:
        yield status.update


def new_key(
    folder: Annotated[Path, typer.Argument(help="Folder that gets both files.", metavar="DIR")],
    as_json: Json = False,
) -> None:
    """Make a key pair: sandbox.key signs and stays with you, sandbox.pub is for those who verify."""
    private, public = signatures.generate(folder)
    name = signatures.public_key(public).keyid
    reply(
        as_json,
        {"private": str(private), "public": str(public), "fingerprint": name},
        f"{private} signs, {public} verifies; key id {name}",
    )
