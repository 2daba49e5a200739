"""``sandbox runs import`` and ``export``, ``sandbox key``: traces from and for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from sandbox.cli.output import Json, complain, console, errors, note, print_json
from sandbox.cli.settings import Settings
from sandbox.errors import InputError

if TYPE_CHECKING:
    from sandbox.attestation.report import AttestationReport
    from sandbox.interop.importers.ingest import ImportReport
    from sandbox.trace.store import Store
    from sandbox.trace.tables import RunRow

_SHOWN = 20
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
    from sandbox.attestation import signatures
    from sandbox.interop.importers import ingest

    corrected = ingest.read_labels(labels) if labels else {}
    found = ingest.files(paths)
    with Settings.of(context).open_store() as store, _Progress() as told:
        report = ingest.enter(
            store,
            found,
            format_name=format_,
            corrected=corrected,
            progress=told,
            key=signatures.public_key(key) if key else None,
        )
    _tell(report, as_json=as_json)
    if report.problems:
        raise typer.Exit(1)


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
            help="Replace personal data by pseudonyms of this key; made where there is none.",
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
    with Settings.of(context).open_store(reading=True) as store:
        if runs == ["all"]:
            rows = store.runs(scenario=scenario, family=family, model=model)
        else:
            rows = list({row.id: row for row in map(store.run, runs)}.values())
        if not rows:
            raise InputError("there are no such runs")
        with _counting(len(rows)) as told, ExitStack() as stack:
            source = store
            replaced: dict[str, int] = {}
            if pseudonymise is not None:
                from sandbox.privacy import pseudonymization as copies
                from sandbox.privacy.pseudonym_keys import made_key
                from sandbox.privacy.pseudonyms import Pseudonymiser

                copies.refuse_key_in(to, pseudonymise)
                known = copies.read_names(names) if names else []
                made = Pseudonymiser(made_key(pseudonymise), known)
                source, rows = stack.enter_context(copies.pseudonymised(store, rows, made, told))
                replaced = {str(kind): count for kind, count in sorted(made.replaced.items())}
            _export(source, rows, to, format_, sign, told)
    if as_json:
        more = {"replaced": replaced} if pseudonymise is not None else {}
        print_json({"format": format_, "to": to, "runs": [row.id for row in rows], **more})
        return
    console().print(f"{len(rows)} runs written to {to}", style="bold")
    if pseudonymise is not None:
        counts = ", ".join(f"{count} {kind}" for kind, count in replaced.items()) or "nothing"
        note(f"replaced: {counts}; keep {pseudonymise} apart from what you give away")
    if format_ == "pack" and sign is None:
        note("the pack is not signed; make a key with: sandbox key new DIR")


def _export(
    store: Store,
    rows: list[RunRow],
    to: str,
    format_: str,
    sign: Path | None,
    told: Callable[[int], None],
) -> None:
    if format_ == "pack":
        from sandbox.attestation import signatures
        from sandbox.attestation.pack_writer import write_pack
        from sandbox.views.replay_html import together

        secret = signatures.private_key(sign) if sign else None
        write_pack(store, rows, Path(to), key=secret, replay=together, progress=told)
    else:
        from sandbox.interop.exporters.exporter import exporter

        exporter(format_)(store, rows, to, told)


@contextmanager
def _counting(total: int) -> Iterator[Callable[[int], None]]:
    """Tell on a terminal how many runs are done."""
    if not errors().is_terminal:
        yield lambda done: None
        return
    with errors().status("writing …") as status:
        yield lambda done: status.update(f"{done} of {total} runs")


def verify_files(
    paths: list[Path], key: Path | None, context: typer.Context | None
) -> list[AttestationReport]:
    """Prove evidence packs, and manifests of sweeps, by themselves.

    Args:
        paths: The files.
        key: The public key that must have signed them.
        context: Of the command, where manifests are held against the runs of its store.
    """
    if not paths:
        return []
    from sandbox.attestation import signatures, statement
    from sandbox.attestation.pack_reader import verify_pack

    public = signatures.public_key(key) if key else None
    found = []
    for path in paths:
        if not statement.is_statement(path):
            found.append(verify_pack(path, public))
        elif context is None:
            report, predicate = statement.verify(path, public)
            note(f"{path} names {len(predicate.runs)} runs: --stored holds the store's against it")
            found.append(report)
        else:
            with Settings.of(context).open_store(reading=True) as store:
                found.append(statement.verify(path, public, store)[0])
    return found


def pack_data(report: AttestationReport) -> dict[str, object]:
    """Return what was found of a pack as ``--json`` prints it."""
    return {
        "file": str(report.path),
        "ok": report.ok,
        "signature": report.signature,
        "signer": report.signer or None,
        "problems": report.problems,
    }


_SIGNED = {
    "valid": "signed with the key that was given",
    "unknown": "signed with the key {signer}…, for which nobody vouches: --key names the one it must be",
    "missing": "not signed",
    "wrong": "the signature is wrong",
}


def tell_pack(report: AttestationReport) -> None:
    """Print what was found of a pack."""
    from sandbox.terminal_escape import plain

    for problem in report.problems:
        complain(InputError(problem))
    said = _SIGNED[report.signature].format(signer=report.signer[:16])
    console().print(plain(f"{report.path}: {said}"), style="bold")


keys = typer.Typer(help="Keys that sign evidence packs.", no_args_is_help=True)


@keys.callback()
def _keys() -> None:
    """Take nothing: with a single command typer would make it the whole group."""


@keys.command("new")
def new_key(
    folder: Annotated[Path, typer.Argument(help="Folder that gets both files.", metavar="DIR")],
    as_json: Json = False,
) -> None:
    """Make a key pair: sandbox.key signs and stays with you, sandbox.pub is for those who verify."""
    from sandbox.attestation import signatures

    private, public = signatures.generate(folder)
    name = signatures.public_key(public).keyid
    if as_json:
        print_json({"private": str(private), "public": str(public), "fingerprint": name})
        return
    console().print(f"{private} signs, {public} verifies; key id {name}", soft_wrap=True)


class _Progress:
    """Tells on a terminal how far an import is."""

    def __enter__(self) -> Self:
        self._status = errors().status("reading …") if errors().is_terminal else None
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def __call__(self, report: ImportReport, path: Path) -> None:
        if self._status:
            from sandbox.terminal_escape import one_line

            count = f"{report.entered} imported, {report.present} there already"
            self._status.update(f"{one_line(path.name, 40)}: {count}")


def _tell(report: ImportReport, *, as_json: bool) -> None:
    if as_json:
        problems = [vars(problem) for problem in report.problems]
        print_json(
            {
                "imported": report.entered,
                "present": report.present,
                "labels": report.labelled,
                "runs": report.runs,
                "problems": problems,
            }
        )
        return
    for problem in report.problems[:_SHOWN]:
        complain(InputError(str(problem)))
    if len(report.problems) > _SHOWN:
        complain(InputError(f"{len(report.problems) - _SHOWN} more problems; --json lists all"))
    parts = [f"{report.entered} runs imported", f"{report.present} were there already"]
    parts += [f"{report.labelled} labels set"] if report.labelled else []
    parts += [f"{len(report.problems)} records could not be used"] if report.problems else []
    console().print(", ".join(parts), style="bold")
