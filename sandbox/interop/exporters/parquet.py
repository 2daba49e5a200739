"""Parquet: three tables for data frames, in a folder: runs, events, verdicts. Needs the extra ``parquet``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from sandbox.attestation.atomic_file import atomic_write
from sandbox.errors import InputError
from sandbox.interop.exporters.exporter import Progress
from sandbox.trace.events import Event, canonical
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

_TIME = pa.timestamp("us", tz="UTC")
_TEXT, _COUNT, _NUMBER, _FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_ROW = (
    "id",
    "scenario",
    "family",
    "model",
    "isolation",
    "mode",
    "lang",
    "seed",
    "status",
    "origin",
    "task",
    "safety",
    "events",
    "head",
    "scaffold",
)
_RESULT = {
    "tool_calls": _COUNT,
    "tokens": _COUNT,
    "cost_eur": _NUMBER,
    "energy_kwh": _NUMBER,
    "seconds": _NUMBER,
    "benign": _FLAG,
    "severity": _TEXT,
    "reason": _TEXT,
}
SCHEMAS = {
    "runs": pa.schema(
        [(name, _COUNT if name in ("seed", "events") else _TEXT) for name in _ROW]
        + [("started", _TIME), ("ended", _TIME)]
        + list(_RESULT.items())
    ),
    "events": pa.schema(
        [
            ("run", _TEXT),
            ("seq", _COUNT),
            ("at", _TIME),
            ("kind", _TEXT),
            ("agent", _TEXT),
            ("call", _TEXT),
            ("tool", _TEXT),
            ("status", _TEXT),
            ("text", _TEXT),
            ("data", _TEXT),
            ("previous", _TEXT),
            ("hash", _TEXT),
        ]
    ),
    "verdicts": pa.schema(
        [
            ("run", _TEXT),
            ("seq", _COUNT),
            ("at", _TIME),
            ("scenario", _TEXT),
            ("model", _TEXT),
            ("call", _TEXT),
            ("tool", _TEXT),
            ("stage", _TEXT),
            ("monitor", _TEXT),
            ("verdict", _TEXT),
            ("severity", _TEXT),
            ("score", _NUMBER),
            ("reason", _TEXT),
        ]
    ),
}
_GROUP_ROWS, _GROUP_BYTES = 20_000, 32 * 1024 * 1024


def export(store: Store, rows: Sequence[RunRow], target: str, progress: Progress) -> None:
    """Write ``runs.parquet``, ``events.parquet`` and ``verdicts.parquet`` into a folder."""
    folder = Path(target)
    if folder.suffix == ".parquet" or folder.is_file():
        raise InputError(f"{folder}: Parquet is three tables; name a folder for them")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror or error}") from error
    with ExitStack() as stack:
        tables = {
            name: stack.enter_context(
                _Table(stack.enter_context(atomic_write(folder / f"{name}.parquet")), schema)
            )
            for name, schema in SCHEMAS.items()
        }
        for done, row in enumerate(rows, 1):
            tables["runs"].add(_run(row))
            for item in store.events(row.id):
                data = store.content(item)
                tables["events"].add(_event(item, data))
                if item.kind == "verdict":
                    tables["verdicts"].add(_verdict(row, item, data))
            progress(done)


class _Table:
    """Gathers rows until they are worth a row group, so that memory stays flat."""

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(file, schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def add(self, row: dict[str, Any]) -> None:
        """Add a row."""
        self._rows.append({name: _sound(value) for name, value in row.items()})
        self._bytes += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(self._rows) >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows.clear()
        self._bytes = 0


def _sound(value: Any) -> Any:
    """Return a value; a text without the lone surrogates that Arrow cannot hold."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _micros(at: float | None) -> int | None:
    return None if at is None else round(at * 1e6)


def _run(row: RunRow) -> dict[str, Any]:
    result = row.result or {}
    return {
        **{name: getattr(row, name) for name in _ROW},
        "started": _micros(row.started),
        "ended": _micros(row.ended),
        **{name: result.get(name) for name in _RESULT},
    }


def _event(item: Event, data: dict[str, Any]) -> dict[str, Any]:
    text = data.get("text", data.get("content"))
    named = {
        name: data[name] for name in ("call", "tool", "status") if isinstance(data.get(name), str)
    }
    return {
        "run": item.run,
        "seq": item.seq,
        "at": _micros(item.at),
        "kind": item.kind,
        "agent": item.agent,
        "call": named.get("call"),
        "tool": named.get("tool"),
        "status": named.get("status"),
        "text": text if isinstance(text, str) else None,
        "data": canonical(data),
        "previous": item.previous,
        "hash": item.hash,
    }


def _verdict(row: RunRow, item: Event, data: dict[str, Any]) -> dict[str, Any]:
    said = ("call", "tool", "stage", "monitor", "verdict", "severity", "reason")
    score = data.get("score")
    return {
        "run": item.run,
        "seq": item.seq,
        "at": _micros(item.at),
        "scenario": row.scenario,
        "model": row.model,
        **{name: data.get(name) for name in said},
        "score": float(score) if isinstance(score, (int, float)) else None,
    }
