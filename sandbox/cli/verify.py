"""``sandbox runs verify``: runs of the store, evidence packs, manifests of sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sandbox.cli.command import Json, Settings, complain, console, fields, note, reply, table
from sandbox.errors import InputError
from sandbox.terminal_escape import plain
from sandbox.trace.verify import Verification, verify_all

if TYPE_CHECKING:
    from sandbox.attestation.report import AttestationReport

_SIGNED = {
    "valid": "signed with the key that was given",
    "unknown": "signed with the key {signer}…, for which nobody vouches: --key names the one it must be",
    "missing": "not signed",
    "wrong": "the signature is wrong",
}
_PARENTS = {
    "agrees": "go on from the event of their parent that they name",
    "missing": "have a parent that is not in this store",
    "purged": "have a parent that was purged",
    "pseudonymised": "are pseudonymised, or their parent is, and cannot be held against it",
}


def verify(
    context: typer.Context,
    runs: Annotated[
        list[str] | None,
        typer.Argument(help="Runs, evidence packs, manifests; all runs if left out."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="Public key that must have signed the files.", metavar="PUB"),
    ] = None,
    stored: Annotated[
        bool, typer.Option("--stored", help="Hold manifests of sweeps against the store's runs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Prove that runs are untouched: chain, texts, outcome. Files are proved without the store."""
    settings = Settings.of(context)
    paths = [Path(name) for name in runs or () if Path(name).is_file()]
    names = [name for name in runs or () if not Path(name).is_file()]
    files = _files(settings, paths, key, stored=stored) if paths else []
    proofs = [run for file in files for run in file.runs]
    if names or not files:
        with settings.open_store(reading=True) as store:
            rows = [store.run(name) for name in names] if names else store.runs()
            proofs += verify_all(store, rows)
    ok = all(proof.ok for proof in proofs) and all(file.ok for file in files)
    packs = {"packs": [_file(file) for file in files]} if files else {}
    found = [fields(proof, "id ok event problem parent") for proof in proofs]
    reply(
        as_json, {"ok": ok, "runs": found, **packs}, lambda: _print(proofs, files), 0 if ok else 1
    )


def _files(
    settings: Settings, paths: list[Path], key: Path | None, *, stored: bool
) -> list[AttestationReport]:
    """Prove evidence packs and manifests by themselves, or manifests against the runs of the store."""
    from sandbox.attestation import signatures, statement
    from sandbox.attestation.pack_reader import verify_pack

    public = signatures.public_key(key) if key else None
    reports = []
    for path in paths:
        if not statement.is_statement(path):
            reports.append(verify_pack(path, public))
        elif not stored:
            report, predicate = statement.verify(path, public)
            note(f"{path} names {len(predicate.runs)} runs: --stored holds the store's against it")
            reports.append(report)
        else:
            with settings.open_store(reading=True) as store:
                reports.append(statement.verify(path, public, store)[0])
    return reports


def _file(report: AttestationReport) -> dict[str, object]:
    data = fields(report, "ok signature problems")
    return {"file": str(report.path), **data, "signer": report.signer or None}


def _print(proofs: list[Verification], files: list[AttestationReport]) -> None:
    bad = [(p.id, "–" if p.event is None else p.event, p.problem) for p in proofs if not p.ok]
    if bad:
        table(("run", "event", "problem"), bad)
    for file in files:
        for problem in file.problems:
            complain(InputError(problem))
        words = _SIGNED[file.signature].format(signer=file.signer[:16])
        console().print(plain(f"{file.path}: {words}"), style="bold")
    verdict = f"{len(bad)} not as they were written" if bad else "all untouched"
    if not bad and not all(file.ok for file in files):
        verdict = "but a file is not whole"
    if proofs or not files:
        events = sum(proof.events for proof in proofs)
        console().print(f"{len(proofs)} runs, {events} events: {verdict}", style="bold")
    for state, words in _PARENTS.items():
        if count := sum(proof.parent == state for proof in proofs):
            console().print(f"{count} forks {words}")
