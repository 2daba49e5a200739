"""Writing an evidence pack: a ZIP file of which every byte follows from the runs and the key."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner

from sandbox.attestation import event_jsonl, in_toto, pack_labels, signatures
from sandbox.attestation.archives import fixed_member
from sandbox.attestation.atomic_file import atomic_write
from sandbox.attestation.in_toto import Digests, PackPredicate, RunEntry
from sandbox.attestation.pack_layout import ENVELOPE, MANIFEST, ROWS, trace_name
from sandbox.enums import RunStatus
from sandbox.errors import InputError
from sandbox.trace.labels import Labels
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

_HEX = frozenset("0123456789abcdef")

Replay = Callable[[Store, Sequence[RunRow]], bytes]
"""Makes the page ``replay.html`` that a pack may hold."""


def write_pack(
    store: Store,
    rows: Sequence[RunRow],
    path: Path,
    *,
    key: CryptoSigner | None = None,
    replay: Replay | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write runs as an evidence pack; the file is there whole or not at all.

    Args:
        store: Where the runs are.
        rows: The runs.
        path: The file.
        key: Signs the manifest.
        replay: Makes a page for readers without the sandbox.
        progress: Called with the number of runs written.

    Raises:
        InputError: A run is still going, or the file cannot be written.
        StoreError: A run cannot be read.
    """
    running = [row.id for row in rows if row.status == RunStatus.RUNNING]
    if running:
        raise InputError(f"the run {running[0]} is still going; a pack holds runs that are over")
    rows = sorted({row.id: row for row in rows}.values(), key=lambda row: row.id)
    with (
        atomic_write(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive,
    ):
        _PackWriter(store, archive).write(rows, key, replay, progress)


class _PackWriter:
    def __init__(self, store: Store, archive: zipfile.ZipFile) -> None:
        self._store = store
        self._archive = archive
        self._digests: Digests = {}

    def write(
        self,
        rows: Sequence[RunRow],
        key: CryptoSigner | None,
        replay: Replay | None,
        progress: Callable[[int], None],
    ) -> None:
        """Write all members, the manifest last: it has the hashes of the others."""
        runs = []
        for done, row in enumerate(rows, 1):
            runs.append(self._trace(row))
            progress(done)
        fields = [{name: getattr(row, name) for name in RunRow.model_fields} for row in rows]
        self._add(ROWS, json.dumps(fields, indent=1).encode() + b"\n")
        if labels := Labels(self._store).of_runs([row.id for row in rows]):
            self._add(pack_labels.MEMBER, pack_labels.as_member(labels))
        if replay is not None:
            self._add("replay.html", replay(self._store, rows))
        signed_by = key.public_key.keyval["public"] if key else None
        raw = in_toto.encode(self._digests, PackPredicate(signed_by=signed_by, runs=runs))
        self._put(MANIFEST, raw)
        if key is not None:
            self._put(ENVELOPE, signatures.sign(key, raw))

    def _trace(self, row: RunRow) -> RunEntry:
        """Write a run's events as they come, and its scenario; return what the manifest says of it."""
        name, hasher = trace_name(row.id), hashlib.sha256()
        start: dict[str, Any] = {}
        containers = []
        with self._archive.open(fixed_member(name), "w", force_zip64=True) as file:
            for event in self._store.events(row.id):
                raw = event_jsonl.line(event, self._store.text).encode() + b"\n"
                file.write(raw)
                hasher.update(raw)
                if event.seq == 0:
                    start = self._store.content(event)
                elif event.kind == "container.open":
                    containers.append(self._store.content(event))
        self._digests[name] = {"sha256": hasher.hexdigest()}
        text, sha256 = start.get("scenario_text"), str(start.get("scenario_sha256"))
        scenario = f"scenarios/{sha256}.json"
        if isinstance(text, str) and scenario not in self._digests and set(sha256) <= _HEX:
            self._add(scenario, text.encode("utf-8", "surrogatepass"))
        return RunEntry.of(row, start, containers)

    def _add(self, name: str, data: bytes) -> None:
        self._digests[name] = {"sha256": hashlib.sha256(data).hexdigest()}
        self._put(name, data)

    def _put(self, name: str, data: bytes) -> None:
        self._archive.writestr(fixed_member(name), data)
