"""Parquet: the frames of runs in a folder, a file for each: runs, calls, effects, verdicts, events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from sandbox.attestation.atomic_file import atomic_write
from sandbox.errors import InputError
from sandbox.interop.exporters.exporter import Progress
from sandbox.interop.frame_rows import FRAMES
from sandbox.interop.frames import batches
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow


def export(store: Store, rows: Sequence[RunRow], target: str, progress: Progress) -> None:
    """Write ``runs.parquet``, ``events.parquet`` and the other frames into a folder."""
    folder = Path(target)
    if folder.suffix == ".parquet" or folder.is_file():
        raise InputError(f"{folder}: Parquet is several tables; name a folder for them")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror or error}") from error
    runs = [row.id for row in rows]
    for name in sorted(
        FRAMES, key=lambda frame: frame == "events"
    ):  # it takes longest: it tells how far
        parts = batches(name, store, runs, done=progress if name == "events" else _quietly)
        first = next(parts)
        with (
            atomic_write(folder / f"{name}.parquet") as file,
            pq.ParquetWriter(file, first.schema, compression="zstd") as writer,
        ):
            writer.write_batch(first)
            for part in parts:
                writer.write_batch(part)


def _quietly(count: int) -> None:
    """Say nothing."""
