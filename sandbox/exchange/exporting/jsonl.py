"""JSONL: one event a line, lossless; see :mod:`sandbox.exchange.lines`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sandbox.exchange import lines
from sandbox.exchange.exporting.exporter import Progress
from sandbox.exchange.exporting.output import whole
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow


def export(store: Store, rows: Sequence[RunRow], target: str, progress: Progress) -> None:
    """Write the events of runs, one run after the other."""
    with whole(Path(target)) as file:
        for done, row in enumerate(rows, 1):
            for item in store.events(row.id):
                file.write(lines.line(item, store.text).encode() + b"\n")
            progress(done)
