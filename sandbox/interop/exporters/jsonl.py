"""JSONL: one event a line, lossless; see :mod:`sandbox.attestation.event_jsonl`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sandbox.attestation import event_jsonl
from sandbox.attestation.atomic_file import atomic_write
from sandbox.interop.exporters.exporter import Progress
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow


def export(store: Store, rows: Sequence[RunRow], target: str, progress: Progress) -> None:
    """Write the events of runs, one run after the other."""
    with atomic_write(Path(target)) as file:
        for done, row in enumerate(rows, 1):
            for item in store.events(row.id):
                file.write(event_jsonl.line(item, store.text).encode() + b"\n")
            progress(done)
