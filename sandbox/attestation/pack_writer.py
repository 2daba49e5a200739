"""Writing an evidence pack: a ZIP file of which every byte follows from the runs and the key."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.attestation import event_jsonl, pack_labels, signatures
from sandbox.attestation.atomic_file import whole
from sandbox.attestation.manifest import (
    MANIFEST,
    ROWS,
    SIGNATURE,
    digest,
    manifest,
    run_entry,
    trace_name,
)
from sandbox.errors import InputError
from sandbox.trace.labels import Labels
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that ZIP knows: the time of writing is no content
_HEX = frozenset("0123456789abcdef")

Replay = Callable[[Store, Sequence[RunRow]], bytes]
"""Makes the page ``replay.html`` that a pack may hold."""


def write_pack(
    store: Store,
    rows: Sequence[RunRow],
    path: Path,
    *,
    key: Ed25519PrivateKey | None = None,
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
    going = [row.id for row in rows if row.status == "running"]
    if going:
        raise InputError(f"the run {going[0]} is still going; a pack holds runs that are over")
    rows = sorted({row.id: row for row in rows}.values(), key=lambda row: row.id)
    with (
        whole(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive,
    ):
        _Writing(store, archive).write(rows, key, replay, progress)


class _Writing:
    def __init__(self, store: Store, archive: zipfile.ZipFile) -> None:
        self._store = store
        self._archive = archive
        self._files: dict[str, tuple[str, int]] = {}

    def write(
        self,
        rows: Sequence[RunRow],
        key: Ed25519PrivateKey | None,
        replay: Replay | None,
        progress: Callable[[int], None],
    ) -> None:
        entries = []
        for done, row in enumerate(rows, 1):
            entries.append(self._trace(row))
            progress(done)
        told = [{name: getattr(row, name) for name in RunRow.model_fields} for row in rows]
        self._add(ROWS, json.dumps(told, indent=1).encode() + b"\n")
        said = Labels(self._store).of_runs([row.id for row in rows])
        if said:
            self._add(pack_labels.MEMBER, pack_labels.as_member(said))
        if replay is not None:
            self._add("replay.html", replay(self._store, rows))
        signer = signatures.fingerprint(key.public_key()) if key else None
        made = manifest(entries, self._files, signer)
        self._put(MANIFEST, made)
        if key is not None:
            self._put(SIGNATURE, signatures.sign(key, made))

    def _trace(self, row: RunRow) -> dict[str, Any]:
        """Write a run's events as they come, and its scenario; return what the manifest says of it."""
        name, hasher, size = trace_name(row.id), hashlib.sha256(), 0
        start: dict[str, Any] = {}
        containers: list[dict[str, Any]] = []
        with self._archive.open(_info(name), "w", force_zip64=True) as file:
            for item in self._store.events(row.id):
                raw = event_jsonl.line(item, self._store.text).encode() + b"\n"
                file.write(raw)
                hasher.update(raw)
                size += len(raw)
                if item.seq == 0:
                    start = self._store.content(item)
                elif item.kind == "container.open":
                    containers.append(self._store.content(item))
        self._files[name] = hasher.hexdigest(), size
        self._scenario(start)
        return run_entry(row, start, containers)

    def _scenario(self, start: dict[str, Any]) -> None:
        text, sha256 = start.get("scenario_text"), str(start.get("scenario_sha256"))
        name = f"scenarios/{sha256}.json"
        if isinstance(text, str) and name not in self._files and set(sha256) <= _HEX:
            self._add(name, text.encode("utf-8", "surrogatepass"))

    def _add(self, name: str, data: bytes) -> None:
        self._files[name] = digest(data)
        self._put(name, data)

    def _put(self, name: str, data: bytes) -> None:
        self._archive.writestr(_info(name), data)


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = 0o644 << 16
    return info
