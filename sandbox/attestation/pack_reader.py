"""Reading an evidence pack: proving it without the store, and putting its runs into another one.

Nothing in it is taken on trust: the manifest by its signature, each file by its hash in the manifest,
each event by the chain, each row by its events. Each thing that is wrong is named.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sandbox.attestation import event_jsonl, signatures
from sandbox.attestation import pack_labels as labels
from sandbox.attestation.archives import Archive
from sandbox.attestation.manifest import FORMAT, MANIFEST, ROWS, SIGNATURE, VERSION, trace_name
from sandbox.errors import InputError
from sandbox.trace.blobs import Blob
from sandbox.trace.events import Event
from sandbox.trace.labels import Label
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from sandbox.trace.verify import Chain, Verification, row_problem

MANIFEST_BYTES = 64 * 1024 * 1024
LINE_BYTES = 256 * 1024 * 1024
_NAME = re.compile(
    r"(traces/[0-9A-Za-z_-]+\.jsonl|scenarios/[0-9a-f]+\.json|(runs|labels)\.json|replay\.html)"
)
_COLUMNS = frozenset(RunRow.model_fields)
Keep = Callable[[bytes, str], None]


@dataclass
class PackReport:
    """What was found of a pack."""

    path: Path
    signature: str = "missing"
    """``valid`` (by the key that was given), ``unknown`` (sound, by a key that nobody named),
    ``missing`` or ``wrong``."""
    signer: str = ""
    """Fingerprint of the key that signed it."""
    problems: list[str] = field(default_factory=list)
    """Each begins with the file or run that it is about."""
    runs: list[Verification] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    """What is said of the runs, beside the evidence."""
    restored: int = 0
    """On import: labels that were set."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems and all(run.ok for run in self.runs)


def is_pack(path: Path) -> bool:
    """Return whether a file is a ZIP file with a manifest of ours; it may be damaged all the same."""
    try:
        with Archive(path) as archive:
            return MANIFEST in archive.members and ROWS in archive.members
    except InputError:
        return False


def verify_pack(
    path: Path,
    key: Ed25519PublicKey | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> PackReport:
    """Prove a pack by itself.

    Args:
        path: The file.
        key: The key that must have signed it.
        progress: Called with the number of runs that were looked at.

    Raises:
        InputError: It is no pack, or of a newer version.
    """
    report = PackReport(path)
    with Archive(path) as archive:
        pack = _Pack(archive, report)
        pack.check_signature(key)
        pack.check_names()
        rows = list(pack.rows())
        pack.check_labels(rows)
        for done, row in enumerate(rows, 1):
            report.runs.append(pack.check_run(row, None))
            progress(done)
        pack.check_rest()
    return report


def import_pack(
    store: Store,
    path: Path,
    key: Ed25519PublicKey | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[PackReport, list[str], list[str]]:
    """Put a pack's runs into a store: the same rows, events and texts. All of it is proved before.

    Args:
        store: Where to.
        path: The file.
        key: The key that must have signed it.
        progress: Called with the number of runs that were entered.

    Returns:
        The report; the ids of the runs that were entered; of those that were there already.

    Raises:
        InputError: It is no pack, something in it is wrong, or another run has the id of one of its.
        StoreError: The store cannot be written.
    """
    report = verify_pack(path, key)
    if not report.ok:
        wrong = report.problems or [f"{run.id}: {run.problem}" for run in report.runs if not run.ok]
        raise InputError(f"{path}: nothing was imported: {wrong[0]}")
    entered: list[str] = []
    present: list[str] = []
    with Archive(path) as archive:
        pack = _Pack(archive, PackReport(path))
        rows = list(pack.rows())
        heads = _heads(store, rows)
        for row in rows:
            # The same record of another program, imported at another time, is the same run.
            if not row.origin and heads.get(row.id, row.head) != row.head:
                raise InputError(
                    f"{path}: another run {row.id} is in the store; nothing was imported"
                )
        for row in rows:
            if row.id in heads:
                present.append(row.id)
                continue
            taken = _Taken(store.holds_blob)
            found = pack.check_run(row, taken)
            if not found.ok:  # the file was changed while it was read
                raise InputError(f"{path}: {row.id}: {found.problem}")
            store.enter([row], taken.events, list(taken.blobs.values()))
            entered.append(row.id)
            progress(len(entered))
    report.restored = labels.restore(store, report.labels)
    return report, entered, present


def _heads(store: Store, rows: list[RunRow]) -> dict[str, str]:
    from sqlmodel import col, select

    found: dict[str, str] = {}
    for start in range(0, len(rows), 500):
        names = [row.id for row in rows[start : start + 500]]
        query = select(RunRow.id, RunRow.head).where(col(RunRow.id).in_(names))
        found.update((run, head) for run, head in store.select(query))
    return found


class _Taken:
    """Events and texts of one run on their way into a store."""

    def __init__(self, known: Callable[[str], bool]) -> None:
        self._known = known
        self.events: list[Event] = []
        self.blobs: dict[str, Blob] = {}

    def keep(self, raw: bytes, sha256: str) -> None:
        """Take a text."""
        if sha256 not in self.blobs and not self._known(sha256):
            self.blobs[sha256] = Blob.of(raw, sha256)


def _forget(raw: bytes, sha256: str) -> None:
    """Texts that are only looked at are proved by the hash of their event."""


class _Pack:
    """A pack that is open; what is wrong goes into the report."""

    def __init__(self, archive: Archive, report: PackReport) -> None:
        self._archive = archive
        self._report = report
        self._manifest_bytes = self._read(MANIFEST, MANIFEST_BYTES)
        self.manifest = _manifest(archive.path, self._manifest_bytes)
        self._checked = {MANIFEST, SIGNATURE}

    def check_signature(self, key: Ed25519PublicKey | None) -> None:
        """Find who signed the manifest."""
        report, named = self._report, self.manifest.get("signed_by")
        if SIGNATURE not in self._archive.members:
            if key is not None or named is not None:
                report.problems.append(f"{SIGNATURE}: the signature is missing")
            return
        try:
            signer = signatures.check(self._manifest_bytes, self._read(SIGNATURE, 1 << 16), key)
        except (ValueError, InputError) as error:
            report.signature = "wrong"
            report.problems.append(f"{SIGNATURE}: {error}")
            return
        report.signer = signatures.fingerprint(signer)
        report.signature = "unknown" if key is None else "valid"
        if named != report.signer:
            report.signature = "wrong"
            report.problems.append(f"{MANIFEST}: it names another key than the one that signed it")

    def check_names(self) -> None:
        """Find members that may not be there, and those that are missing."""
        listed = set(self.manifest["files"])
        there = set(self._archive.members) - {MANIFEST, SIGNATURE}
        problems = self._report.problems
        for name in self._archive.duplicates:
            problems.append(f"{name}: stands in the pack twice")
        for name in sorted(there - listed):
            problems.append(f"{name}: was added; the manifest does not list it")
        for name in sorted(listed - there):
            problems.append(f"{name}: is missing")
        for name in sorted(listed):
            if not _NAME.fullmatch(name):
                problems.append(f"{name}: no pack holds a file of this name")

    def rows(self) -> Iterator[RunRow]:
        """Yield the rows of the pack's runs."""
        self._checked.add(ROWS)
        try:
            raw = b"".join(self._proved(ROWS))
            told = json.loads(raw)
            found = [_row(self._archive.path, item) for item in told]
        except InputError:
            raise
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{self._archive.path}: {ROWS} cannot be read: {error}") from error
        entries = {str(run.get("id")): run for run in self.manifest["runs"]}
        for missing in sorted(entries.keys() - {row.id for row in found}):
            self._report.problems.append(f"{missing}: the run is missing from {ROWS}")
        for row in found:
            entry = entries.get(row.id)
            if entry is None:
                self._report.problems.append(f"{row.id}: the manifest does not name this run")
            elif (entry.get("head"), entry.get("events")) != (row.head, row.events):
                self._report.problems.append(
                    f"{row.id}: the manifest names another head of its chain"
                )
            yield row

    def check_labels(self, rows: list[RunRow]) -> None:
        """Read what is said of the runs; it goes into the report."""
        if labels.MEMBER in self._archive.members:
            self._checked.add(labels.MEMBER)
            try:
                raw = b"".join(self._proved(labels.MEMBER))
                self._report.labels = labels.of_member(raw, (row.id for row in rows))
            except (ValueError, InputError) as error:
                said = str(error).removeprefix(f"{self._archive.path}: ")
                self._report.problems.append(f"{labels.MEMBER}: {said}")

    def check_run(self, row: RunRow, taken: _Taken | None) -> Verification:
        """Prove one run; its events and texts go to ``taken``."""
        name = trace_name(row.id)
        self._checked.add(name)
        if name not in self._archive.members:
            return Verification(row.id, False, 0, f"{name} is missing")
        chain = Chain(None, set())
        keep = taken.keep if taken is not None else _forget
        try:
            for raw in _lines(self._proved(name)):
                item = event_jsonl.event(raw, keep)
                problem = chain.problem(item)
                if problem is None and item.run != row.id:
                    problem = f"it is of another run, {item.run[:40]}"
                if problem:
                    self._finish(name)
                    return Verification(row.id, False, chain.count, problem, chain.count)
                if taken is not None:
                    taken.events.append(item)
        except (ValueError, InputError) as error:
            self._finish(name)
            said = str(error).removeprefix(f"{self._archive.path}: ")
            return Verification(row.id, False, chain.count, said, chain.count)
        try:
            problem = row_problem(row, chain)
        except (ValueError, AttributeError, TypeError):
            problem = "its first or last event holds something else than it must"
        at = chain.count - 1 if problem else None
        return Verification(row.id, problem is None, at, problem, chain.count - chain.removed)

    def check_rest(self) -> None:
        """Prove the files that are no traces."""
        for name in sorted(
            set(self.manifest["files"]) & set(self._archive.members) - self._checked
        ):
            self._finish(name)

    def _finish(self, name: str) -> None:
        try:
            for _ in self._proved(name):
                pass
        except InputError as error:
            self._report.problems.append(str(error).removeprefix(f"{self._archive.path}: "))

    def _proved(self, name: str) -> Iterator[bytes]:
        """Yield a member's bytes; what differs from the manifest is known once all were read."""
        told = self.manifest["files"].get(name)
        hasher = hashlib.sha256()
        for piece in self._archive.chunks(name):
            hasher.update(piece)
            yield piece
        if told is not None and told.get("sha256") != hasher.hexdigest():
            self._report.problems.append(f"{name}: was changed; the manifest has another hash")

    def _read(self, name: str, most: int) -> bytes:
        found = bytearray()
        for piece in self._archive.chunks(name):
            found += piece
            if len(found) > most:
                raise InputError(f"{self._archive.path}: {name} is larger than it may be")
        return bytes(found)


def _manifest(path: Path, raw: bytes) -> dict[str, Any]:
    try:
        told = json.loads(raw)
        if told["format"] != FORMAT:
            raise InputError(f"{path}: is no evidence pack")
        if told["version"] > VERSION:
            raise InputError(f"{path}: was written by a newer version of sandbox")
        sound = all(isinstance(item, dict) for item in (*told["files"].values(), *told["runs"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: {MANIFEST} cannot be read: {error}") from error
    if not sound:
        raise InputError(f"{path}: {MANIFEST} cannot be read")
    found: dict[str, Any] = told
    return found


def _row(path: Path, told: dict[str, Any]) -> RunRow:
    unknown = sorted(told.keys() - _COLUMNS)
    if unknown:
        raise InputError(
            f"{path}: written by a newer version of sandbox: {ROWS} has {unknown[0]!r}"
        )
    if "scaffold" not in told:  # written before there were others
        told = {**told, "scaffold": "" if told.get("origin") else "react"}
    return RunRow.model_validate(told)


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines; each must have its end."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        if b"\n" in piece:
            *whole, rest = waiting.split(b"\n")
            yield from map(bytes, whole)
            waiting = bytearray(rest)
        if len(waiting) > LINE_BYTES:
            raise ValueError(f"a line is longer than {LINE_BYTES >> 20} MiB")
    if waiting:
        raise ValueError("its last line is cut off")
