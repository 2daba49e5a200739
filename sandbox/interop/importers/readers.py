"""Reading files of others: JSON and JSONL, compressed or not, with a bound on each record."""

from __future__ import annotations

import gzip
import io
import json
import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

from sandbox.errors import InputError, Problem
from sandbox.interop.importers.imported_run import ImportedRun
from sandbox.scenario.validation import JsonObject, mismatch

RECORD_BYTES = 256 * 1024 * 1024
"""The most that one record may hold: a small file can unpack to any size."""
UNUSABLE = (ValueError, RecursionError)
"""What reading a record raises if it is of another shape than its format says."""
_BROKEN = (OSError, EOFError, zlib.error)


@dataclass(frozen=True, slots=True)
class JsonRecord:
    """One JSON object of a file."""

    line: int
    """Counted from 1."""
    data: JsonObject
    place: str = ""
    """Which record of its line it is, if there are several."""


def read_runs(
    path: Path, kind: str, run: Callable[[JsonObject], ImportedRun]
) -> Iterator[ImportedRun | Problem]:
    """Yield the runs of a file with a record for each.

    Args:
        path: The file.
        kind: What a record is, for problems.
        run: Makes a run of a record; raises one of :data:`UNUSABLE`.

    Raises:
        InputError: The file cannot be read at all.
    """
    for record in records(path):
        if isinstance(record, Problem):
            yield record
            continue
        try:
            yield replace(run(record.data), line=record.line)
        except UNUSABLE as error:
            yield Problem(str(path), record.line, f"{record.place}not {kind}: {error}")


def opened(path: Path) -> IO[bytes]:
    """Return a file's bytes as they read, unpacked if it ends in ``.gz``."""
    try:
        if path.suffix == ".gz":
            return cast("IO[bytes]", gzip.open(path, "rb"))
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def records(path: Path) -> Iterator[JsonRecord | Problem]:
    """Yield the objects of a file that holds one, a list of them, or one a line.

    Raises:
        InputError: The file cannot be read at all.
    """
    with opened(path) as file:
        try:
            first = file.readline(RECORD_BYTES + 1)
            if _is_one_document(first):
                yield from _document(path, first + file.read(RECORD_BYTES + 1 - len(first)))
            else:
                yield from _lines(path, first, file)
        except _BROKEN as error:
            raise InputError(f"{path}: cannot be read: {error}") from error


def head(path: Path) -> JsonObject:
    """Return the first object of a file; an empty one if it does not begin with one."""
    with suppress(InputError, *_BROKEN), opened(path) as file:
        if file.read(64).lstrip()[:1] in b"{[":
            first = next(records(path), None)
            return first.data if isinstance(first, JsonRecord) else {}
    return {}


def _is_one_document(line: bytes) -> bool:
    """Return whether a file goes on after its first line, which then is no record by itself."""
    start = line.strip()
    return start in (b"{", b"[", b"") or not start.endswith((b"}", b"]"))


def _document(path: Path, raw: bytes) -> Iterator[JsonRecord | Problem]:
    if len(raw) > RECORD_BYTES:
        yield Problem(str(path), 0, f"more than {RECORD_BYTES >> 20} MiB in one document")
    elif raw.strip():
        try:
            data = loads(raw)
        except UNUSABLE as error:
            if any(
                map(_is_record, raw.split(b"\n", 20)[1:20])
            ):  # one a line, the first of them broken
                file = io.BytesIO(raw)
                yield from _lines(path, file.readline(), file)
            else:
                yield _not_json(path, getattr(error, "lineno", 0), error)
            return
        yield from _records(path, 1, data)


def _is_record(line: bytes) -> bool:
    with suppress(*UNUSABLE):
        return isinstance(loads(line), dict) and len(line) > len(b'{"a": 1}')
    return False


def _lines(path: Path, first: bytes, file: IO[bytes]) -> Iterator[JsonRecord | Problem]:
    number, line = 1, first
    while line:
        if len(line) > RECORD_BYTES:
            yield Problem(str(path), number, f"more than {RECORD_BYTES >> 20} MiB in one line")
            return
        if line.strip():
            try:
                data = loads(line)
            except UNUSABLE as error:
                yield _not_json(path, number, error)
            else:
                yield from _records(path, number, data)
        number, line = number + 1, file.readline(RECORD_BYTES + 1)


def _not_json(path: Path, line: int, error: Exception) -> Problem:
    if isinstance(error, json.JSONDecodeError):
        return Problem(str(path), line, f"not JSON: {error.msg} in column {error.colno}")
    return Problem(str(path), line, f"not JSON: {error}")


def _records(path: Path, line: int, data: object) -> Iterator[JsonRecord | Problem]:
    """Yield what a line or a document holds: an object, or at the beginning of a file a list of them."""
    items = data if isinstance(data, list) and (line == 1 or len(data) == 1) else [data]
    for number, item in enumerate(items, 1):
        place = f"record {number}: " if len(items) > 1 else ""
        if isinstance(item, dict):
            yield JsonRecord(line, item, place)
        else:
            yield Problem(str(path), line, f"{place}a record {mismatch('an object', item)}")


def loads(raw: bytes | str) -> Any:
    """Return JSON data; ``NaN`` and ``Infinity``, which JSON does not have, come as texts."""
    text = raw.decode("utf-8", "surrogatepass") if isinstance(raw, bytes) else raw
    return json.loads(text, parse_constant=str, parse_float=_finite)


def _finite(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else text
