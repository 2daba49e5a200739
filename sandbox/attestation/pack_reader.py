"""Reading an evidence pack: proving it without the store, and putting its runs into another one.

Nothing in it is taken on trust: the manifest by its signature, each file by its hash in the manifest,
each event by the chain, each row by its events. Each thing that is wrong is named.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import ValidationError
from securesystemslib.signer import SSlibKey
from sqlmodel import col, select

from sandbox.attestation import event_jsonl, in_toto, version1
from sandbox.attestation import pack_labels as labels
from sandbox.attestation.archives import Archive
from sandbox.attestation.in_toto import Attestation, PackPredicate
from sandbox.attestation.pack_layout import ENVELOPE, MANIFEST, ROWS, trace_name
from sandbox.attestation.report import AttestationReport
from sandbox.errors import InputError
from sandbox.scenario.validation import JsonObject, first_problem, parse_as
from sandbox.trace.blobs import Blob
from sandbox.trace.events import Event
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from sandbox.trace.verify import Chain, Verification, row_problem

MANIFEST_BYTES = 64 * 1024 * 1024
LINE_BYTES = 256 * 1024 * 1024
_NAME = re.compile(
    r"(traces/[0-9A-Za-z_-]+\.jsonl|scenarios/[0-9a-f]+\.json|(runs|labels)\.json|replay\.html)"
)
_COLUMNS = frozenset(RunRow.model_fields)


def verify_pack(
    path: Path,
    key: SSlibKey | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> AttestationReport:
    """Prove a pack by itself.

    Args:
        path: The file.
        key: The key that must have signed it.
        progress: Called with the number of runs that were looked at.

    Raises:
        InputError: It is no pack, or of a newer version.
    """
    report = AttestationReport(path)
    with Archive(path) as archive:
        pack = _PackReader(archive, report)
        report.check_signature(pack.attestation, key)
        pack.check_names()
        rows = pack.rows()
        pack.check_labels(rows)
        for done, row in enumerate(rows, 1):
            report.runs.append(pack.check_run(row, _RunContent()))
            progress(done)
        pack.check_rest()
    return report


def import_pack(
    store: Store,
    path: Path,
    key: SSlibKey | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[AttestationReport, list[str], list[str]]:
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
    with Archive(path) as archive:
        pack = _PackReader(archive, AttestationReport(path))
        rows = pack.rows()
        heads = _heads(store, rows)
        for row in rows:
            # The same record of another program, imported at another time, is the same run.
            if not row.origin and heads.get(row.id, row.head) != row.head:
                raise InputError(
                    f"{path}: another run {row.id} is in the store; nothing was imported"
                )
        for row in rows:
            if row.id in heads:
                continue
            content = _RunContent(store.holds_blob)
            verification = pack.check_run(row, content)
            if not verification.ok:  # the file was changed while it was read
                raise InputError(f"{path}: {row.id}: {verification.problem}")
            store.enter([row], content.events, list(content.blobs.values()))
            entered.append(row.id)
            progress(len(entered))
    report.restored = labels.restore(store, report.labels)
    return report, entered, [row.id for row in rows if row.id in heads]


def _heads(store: Store, rows: list[RunRow]) -> dict[str, str]:
    heads: dict[str, str] = {}
    for start in range(0, len(rows), 500):
        names = [row.id for row in rows[start : start + 500]]
        query = select(RunRow.id, RunRow.head).where(col(RunRow.id).in_(names))
        heads.update((run, head) for run, head in store.select(query))
    return heads


class _RunContent:
    """Events and texts of one run on their way into a store; without one, only proved."""

    def __init__(self, in_store: Callable[[str], bool] | None = None) -> None:
        self._in_store = in_store
        self.events: list[Event] = []
        self.blobs: dict[str, Blob] = {}

    def add_text(self, raw: bytes, sha256: str) -> None:
        """Add a text that the store does not have; the hash of its event proves it."""
        if self._in_store and sha256 not in self.blobs and not self._in_store(sha256):
            self.blobs[sha256] = Blob.of(raw, sha256)

    def add_event(self, event: Event) -> None:
        """Add an event."""
        if self._in_store:
            self.events.append(event)


class _PackReader:
    """A pack that is open; what is wrong goes into the report."""

    def __init__(self, archive: Archive, report: AttestationReport) -> None:
        self._archive = archive
        self._report = report
        self.attestation = self._attestation()
        self._manifest_files = {MANIFEST, self.attestation.signature_file}
        self._checked = set(self._manifest_files)

    def _attestation(self) -> Attestation[PackPredicate]:
        try:
            raw = self._read(MANIFEST, MANIFEST_BYTES)
            data = json.loads(raw)
            if isinstance(data, dict) and data.get("format") == version1.PACK:
                return version1.pack(raw, self._signature(version1.SIGNATURE))
            return in_toto.decode(raw, self._signature(ENVELOPE), PackPredicate, ENVELOPE)
        except InputError as error:
            raise InputError(f"{self._archive.path}: {self._without_path(error)}") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self._archive.path}: {MANIFEST} cannot be read: {error}") from error

    def _signature(self, name: str) -> bytes | None:
        return self._read(name, 2 * MANIFEST_BYTES) if name in self._archive.members else None

    def check_names(self) -> None:
        """Find members that may not be there, and those that are missing."""
        listed = set(self.attestation.digests)
        present = set(self._archive.members) - self._manifest_files
        self._report.problems += [
            *(f"{name}: stands in the pack twice" for name in self._archive.duplicates),
            *(
                f"{name}: was added; the manifest does not list it"
                for name in sorted(present - listed)
            ),
            *(f"{name}: is missing" for name in sorted(listed - present)),
            *(
                f"{name}: no pack holds a file of this name"
                for name in sorted(listed)
                if not _NAME.fullmatch(name)
            ),
        ]

    def rows(self) -> list[RunRow]:
        """Return the rows of the pack's runs."""
        self._checked.add(ROWS)
        try:
            data = json.loads(b"".join(self._proved(ROWS)))
            rows = [_row(item) for item in parse_as(list[JsonObject], data)]
        except InputError as error:
            raise InputError(f"{self._archive.path}: {self._without_path(error)}") from error
        except (ValueError, RecursionError) as error:
            problem = first_problem(error) if isinstance(error, ValidationError) else error
            raise InputError(f"{self._archive.path}: {ROWS} cannot be read: {problem}") from error
        entries = {run.id: run for run in self.attestation.predicate.runs}
        problems = self._report.problems
        for missing in sorted(entries.keys() - {row.id for row in rows}):
            problems.append(f"{missing}: the run is missing from {ROWS}")
        for row in rows:
            entry = entries.get(row.id)
            if entry is None:
                problems.append(f"{row.id}: the manifest does not name this run")
            elif (entry.head, entry.events) != (row.head, row.events):
                problems.append(f"{row.id}: the manifest names another head of its chain")
        return rows

    def check_labels(self, rows: list[RunRow]) -> None:
        """Read what is said of the runs; it goes into the report."""
        if labels.MEMBER in self._archive.members:
            self._checked.add(labels.MEMBER)
            try:
                raw = b"".join(self._proved(labels.MEMBER))
                self._report.labels = labels.of_member(raw, (row.id for row in rows))
            except (ValueError, InputError) as error:
                self._report.problems.append(f"{labels.MEMBER}: {self._without_path(error)}")

    def check_run(self, row: RunRow, content: _RunContent) -> Verification:
        """Prove one run; its events and texts go to ``content``."""
        name = trace_name(row.id)
        self._checked.add(name)
        if name not in self._archive.members:
            return Verification(row.id, False, 0, f"{name} is missing")
        chain = Chain(None, set())
        try:
            for raw in _lines(self._proved(name)):
                event = event_jsonl.event(raw, content.add_text)
                problem = chain.problem(event)
                if problem is None and event.run != row.id:
                    problem = f"it is of another run, {event.run[:40]}"
                if problem:
                    break
                content.add_event(event)
            else:
                problem = _row_problem(row, chain)
                at = chain.count - 1 if problem else None
                events = chain.count - chain.removed
                return Verification(row.id, problem is None, at, problem, events)
        except (ValueError, InputError) as error:
            problem = self._without_path(error)
        self._prove(name)
        return Verification(row.id, False, chain.count, problem, chain.count)

    def check_rest(self) -> None:
        """Prove the files that are no traces."""
        listed = self.attestation.digests.keys() & self._archive.members.keys()
        for name in sorted(listed - self._checked):
            self._prove(name)

    def _prove(self, name: str) -> None:
        try:
            for _ in self._proved(name):
                pass
        except InputError as error:
            self._report.problems.append(self._without_path(error))

    def _without_path(self, error: Exception) -> str:
        return str(error).removeprefix(f"{self._archive.path}: ")

    def _proved(self, name: str) -> Iterator[bytes]:
        """Yield a member's bytes; what differs from the manifest is known once all were read."""
        digest = self.attestation.digests.get(name)
        hasher = hashlib.sha256()
        for piece in self._archive.chunks(name):
            hasher.update(piece)
            yield piece
        if digest is not None and digest.get("sha256") != hasher.hexdigest():
            self._report.problems.append(f"{name}: was changed; the manifest has another hash")

    def _read(self, name: str, most: int) -> bytes:
        content = bytearray()
        for piece in self._archive.chunks(name):
            content += piece
            if len(content) > most:
                raise InputError(f"{name} is larger than it may be")
        return bytes(content)


def _row_problem(row: RunRow, chain: Chain) -> str | None:
    try:
        return row_problem(row, chain)
    except (ValueError, AttributeError, TypeError):
        return "its first or last event holds something else than it must"


def _row(data: JsonObject) -> RunRow:
    unknown = sorted(data.keys() - _COLUMNS)
    if unknown:
        raise InputError(f"written by a newer version of sandbox: {ROWS} has {unknown[0]!r}")
    if "scaffold" not in data:  # written before there were others
        data = {**data, "scaffold": "" if data.get("origin") else "react"}
    return RunRow.model_validate(data)


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines; each must have its end."""
    rest = bytearray()
    for piece in pieces:
        rest += piece
        if b"\n" in piece:
            *lines, rest = rest.split(b"\n")
            yield from map(bytes, lines)
        if len(rest) > LINE_BYTES:
            raise ValueError(f"a line is longer than {LINE_BYTES >> 20} MiB")
    if rest:
        raise ValueError("its last line is cut off")
