"""Signed statements of sweeps: what was run and the head of every chain, in one file, without the traces.

Whoever has it can compare any copy of the runs with it, years later: a run that was changed, removed or
made again has another head. The file is a DSSE envelope, or the bare in-toto statement if nobody signed it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner, SSlibKey

from sandbox.attestation import in_toto, signatures, version1
from sandbox.attestation.atomic_file import atomic_write
from sandbox.attestation.in_toto import Attestation, RunEntry, SweepPredicate
from sandbox.attestation.report import AttestationReport
from sandbox.enums import RunStatus
from sandbox.errors import InputError
from sandbox.trace.paging import Pages, Wanted
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from sandbox.trace.verify import Verification, verify_all

_BYTES = 1 << 30
_DESCRIBING = Wanted(kinds=frozenset({"run.start", "container.open"}))


def entries(store: Store, rows: Sequence[RunRow]) -> list[RunEntry]:
    """Return what a statement says of runs: scenario, versions, image, configuration, outcome, head."""
    result = []
    for row in rows:
        pages = Pages(store, row.id)
        described = pages.some(pages.numbers(_DESCRIBING))
        contents = [(item.kind, store.content(item)) for item in described]
        start: dict[str, Any] = next((data for kind, data in contents if kind == "run.start"), {})
        containers = [data for kind, data in contents if kind == "container.open"]
        result.append(RunEntry.of(row, start, containers))
    return result


def write(path: Path, predicate: SweepPredicate, key: CryptoSigner | None) -> None:
    """Write a statement; the same content and key give the same bytes.

    Args:
        path: The file.
        predicate: What it says.
        key: Signs it.

    Raises:
        InputError: The file cannot be written.
    """
    signed_by = key.public_key.keyval["public"] if key else None
    predicate = predicate.model_copy(update={"signed_by": signed_by})
    raw = in_toto.encode(predicate.digests, predicate)
    with atomic_write(path) as file:
        file.write(signatures.sign(key, raw) if key else raw)


def is_statement(path: Path) -> bool:
    """Return whether a file is JSON by its first character, as no pack is; it may be damaged all the same."""
    try:
        with path.open("rb") as file:
            return file.read(1) == b"{"
    except OSError:
        return False


def verify(
    path: Path,
    key: SSlibKey | None = None,
    store: Store | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[AttestationReport, SweepPredicate]:
    """Prove a statement, by itself or against the runs of a store.

    Args:
        path: The file.
        key: The key that must have signed it.
        store: Where the runs that it names are to be.
        progress: Called with the number of runs that were looked at.

    Returns:
        What was found, and what it says.

    Raises:
        InputError: It is no statement, or of a newer version.
        StoreError: The store cannot be read.
    """
    report, attestation = AttestationReport(path), _read(path)
    report.check_signature(attestation, key)
    predicate = attestation.predicate
    if len({run.id for run in predicate.runs}) < len(predicate.runs):
        report.problems.append("it names a run twice")
    if attestation.digests != predicate.digests:
        report.problems.append("its subjects are not the heads of the runs that it names")
    if store is not None:
        for done, entry in enumerate(predicate.runs, 1):
            report.runs.append(_compare(store, entry))
            progress(done)
    return report, predicate


def _read(path: Path) -> Attestation[SweepPredicate]:
    try:
        with path.open("rb") as file:
            raw = file.read(_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    if len(raw) > _BYTES:
        raise InputError(f"{path}: is larger than a statement may be")
    try:
        return _decode(raw)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as a statement: {error}") from error


def _decode(raw: bytes) -> Attestation[SweepPredicate]:
    data = json.loads(raw)
    if isinstance(data, dict) and data.get("format") == version1.SWEEP:
        return version1.sweep(raw)
    if isinstance(data, dict) and "payload" in data:
        return in_toto.decode(signatures.payload(raw), raw, SweepPredicate, "")
    return in_toto.decode(raw, None, SweepPredicate, "")


def _compare(store: Store, entry: RunEntry) -> Verification:
    """Compare one run of a store with what the statement says of it."""
    row = next(iter(store.runs(id=entry.id)), None)
    if row is None:
        return Verification(entry.id, False, None, "the run is not in this store")
    verification = next(verify_all(store, [row]))
    if not verification.ok:
        return verification
    if row.status == RunStatus.PURGED and entry.status != RunStatus.PURGED:
        tombstone = next(iter(store.events(row.id)))
        if tombstone.previous == entry.head:  # removed since, and it follows what was stated
            return verification
    if (row.head, row.events) != (entry.head, entry.events):
        problem = "its chain ends in another event than was stated"
        return Verification(entry.id, False, None, problem, 0)
    fields = ("task", "safety", "model")
    other = next((name for name in fields if getattr(row, name) != getattr(entry, name)), None)
    if other:
        return Verification(entry.id, False, None, f"it has another {other} than was stated", 0)
    return verification
