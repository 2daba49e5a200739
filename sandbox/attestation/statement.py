"""Signed statements: what was run and the head of every chain, in one JSON file, without the traces.

Whoever has it can hold any copy of the runs against it, years later: a run that was changed, removed or
made anew has another head. What is signed is the canonical form of ``manifest``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sandbox.attestation import signatures
from sandbox.attestation.atomic_file import whole
from sandbox.attestation.manifest import run_entry
from sandbox.attestation.pack_reader import PackReport
from sandbox.errors import InputError
from sandbox.trace import tombstones
from sandbox.trace.events import canonical
from sandbox.trace.paging import Pages, Wanted
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from sandbox.trace.verify import Verification, verify_all

FORMAT = "agent-risk-sandbox/statement"
VERSION = 1
_BYTES = 1 << 30
_HEAD = 4096
_DESCRIBING = Wanted(kinds=frozenset({"run.start", "container.open"}))


def entries(store: Store, rows: Sequence[RunRow]) -> list[dict[str, Any]]:
    """Return what a statement says of runs: scenario, versions, image, configuration, outcome, head."""
    made = []
    for row in rows:
        pages = Pages(store, row.id)
        told = [(item.kind, store.content(item)) for item in pages.some(pages.numbers(_DESCRIBING))]
        start: dict[str, Any] = next((data for kind, data in told if kind == "run.start"), {})
        containers = [data for kind, data in told if kind == "container.open"]
        entry = run_entry(row, start, containers)
        del entry["trace"]
        made.append(entry)
    return made


def write(path: Path, told: Mapping[str, Any], key: Ed25519PrivateKey | None) -> None:
    """Write a statement; the same content and key give the same bytes.

    Args:
        path: The file.
        told: What it says, with the list ``runs``.
        key: Signs it.

    Raises:
        InputError: The file cannot be written.
    """
    signer = signatures.fingerprint(key.public_key()) if key else None
    manifest = {**told, "signed_by": signer}
    made: dict[str, Any] = {"format": FORMAT, "version": VERSION, "manifest": manifest}
    if key is not None:
        made["signature"] = json.loads(signatures.sign(key, canonical(manifest).encode()))
    with whole(path) as file:
        file.write(json.dumps(made, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n")


def is_statement(path: Path) -> bool:
    """Return whether a file says of itself that it is a statement; it may be damaged all the same."""
    try:
        with path.open("rb") as file:
            return FORMAT.encode() in file.read(_HEAD)
    except OSError:
        return False


def verify(
    path: Path,
    key: Ed25519PublicKey | None = None,
    store: Store | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[PackReport, dict[str, Any]]:
    """Prove a statement, by itself or against the runs of a store.

    Args:
        path: The file.
        key: The key that must have signed it.
        store: Where the runs that it names are to be.
        progress: Called with the number of runs that were looked at.

    Returns:
        What was found, and the manifest.

    Raises:
        InputError: It is no statement, or of a newer version.
        StoreError: The store cannot be read.
    """
    told = _read(path)
    manifest: dict[str, Any] = told["manifest"]
    report = PackReport(path)
    _check_signature(report, told, key)
    ids = [str(run.get("id")) for run in manifest["runs"]]
    if len(set(ids)) < len(ids):
        report.problems.append("it names a run twice")
    if store is not None:
        for done, entry in enumerate(manifest["runs"], 1):
            report.runs.append(_compared(store, entry))
            progress(done)
    return report, manifest


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _BYTES:
            raise InputError(f"{path}: is larger than a statement may be")
        told = json.loads(path.read_bytes())
        sound = told["format"] == FORMAT and type(told["version"]) is int
        sound = sound and all(isinstance(run, dict) for run in told["manifest"]["runs"])
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as a statement: {error}") from error
    if not sound:
        raise InputError(f"{path}: is no statement")
    if told["version"] > VERSION:
        raise InputError(f"{path}: was written by a newer version of sandbox")
    found: dict[str, Any] = told
    return found


def _check_signature(
    report: PackReport, told: dict[str, Any], key: Ed25519PublicKey | None
) -> None:
    manifest = told["manifest"]
    named = manifest.get("signed_by")
    if "signature" not in told:
        if key is not None or named is not None:
            report.problems.append("the signature is missing")
        return
    try:
        signed = canonical(manifest).encode()
        signer = signatures.check(signed, json.dumps(told["signature"]).encode(), key)
    except ValueError as error:
        report.signature = "wrong"
        report.problems.append(str(error))
        return
    report.signer = signatures.fingerprint(signer)
    report.signature = "unknown" if key is None else "valid"
    if named != report.signer:
        report.signature = "wrong"
        report.problems.append("it names another key than the one that signed it")


def _compared(store: Store, entry: Mapping[str, Any]) -> Verification:
    """Hold one run of a store against what the statement says of it."""
    name, head = str(entry.get("id")), entry.get("head")
    row = next(iter(store.runs(id=name)), None)
    if row is None:
        return Verification(name, False, None, "the run is not in this store")
    found = next(verify_all(store, [row]))
    if not found.ok:
        return found
    if row.status == tombstones.PURGED and entry.get("status") != tombstones.PURGED:
        stone = next(iter(store.events(row.id)))
        if stone.previous == head:  # removed since, and the tombstone follows what was stated
            return found
    if (row.head, row.events) != (head, entry.get("events")):
        return Verification(name, False, None, "its chain ends in another event than was stated", 0)
    other = next((k for k in ("task", "safety", "model") if getattr(row, k) != entry.get(k)), None)
    if other:
        return Verification(name, False, None, f"it has another {other} than was stated", 0)
    return found
