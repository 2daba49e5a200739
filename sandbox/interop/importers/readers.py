"""Reading files of others: JSON and JSONL, compressed or not, with a bound on each record."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from sandbox.errors import InputError, Problem
from sandbox.interop.importers.imported_run import Asked
from sandbox.trace.events import canonical

RECORD_BYTES = 256 * 1024 * 1024
"""The most that one record may hold: a small file can unpack to any size."""
_DEEPEST = 64
"""Levels of nesting in a call's arguments; deeper ones exhaust whoever walks through them."""
UNUSABLE = (
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    RecursionError,
    OverflowError,
)
"""What reading a record raises where it is of another shape than its format says."""
_BROKEN = (OSError, EOFError, zlib.error)
_NAME = re.compile(r"[^\w.@:+=-]+")


@dataclass(frozen=True, slots=True)
class Record:
    """One JSON object of a file."""

    line: int
    """Counted from 1."""
    data: dict[str, Any]


def opened(path: Path) -> IO[bytes]:
    """Return a file's bytes as they read, unpacked where it ends in ``.gz``."""
    try:
        if path.suffix == ".gz":
            return cast("IO[bytes]", gzip.open(path, "rb"))
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def records(path: Path) -> Iterator[Record | Problem]:
    """Yield the objects of a file that holds one, a list of them, or one a line.

    Raises:
        InputError: The file cannot be read at all.
    """
    with opened(path) as file:
        try:
            first = file.readline(RECORD_BYTES + 1)
            if _is_one_document(first):
                yield from _whole(path, first + file.read(RECORD_BYTES + 1 - len(first)))
            else:
                yield from _lines(path, first, file)
        except _BROKEN as error:
            raise InputError(f"{path}: cannot be read: {error}") from error


def head(path: Path) -> dict[str, Any] | None:
    """Return the first object of a file, or None where it does not begin with one."""
    try:
        with opened(path) as file:
            first = file.readline(RECORD_BYTES)
            if not first.lstrip().startswith((b"{", b"[")):
                return None
            if _is_one_document(first):
                first += file.read(RECORD_BYTES)
            data = loads(first)
    except (*_BROKEN, InputError, ValueError, RecursionError):
        return None
    data = data[0] if isinstance(data, list) and data else data
    return data if isinstance(data, dict) else None


def _is_one_document(line: bytes) -> bool:
    """Return whether a file goes on after its first line, which then is no record by itself."""
    start = line.strip()
    return start in (b"{", b"[", b"") or not start.endswith((b"}", b"]"))


def _whole(path: Path, raw: bytes) -> Iterator[Record | Problem]:
    if len(raw) > RECORD_BYTES:
        yield Problem(str(path), 0, f"more than {RECORD_BYTES >> 20} MiB in one document")
        return
    if not raw.strip():
        return
    try:
        data = loads(raw)
    except json.JSONDecodeError as error:
        if _has_records(raw):  # one a line after all, the first of them broken
            file = io.BytesIO(raw)
            yield from _lines(path, file.readline(), file)
            return
        yield Problem(str(path), error.lineno, f"not JSON: {error.msg}")
        return
    except (ValueError, RecursionError) as error:
        yield Problem(str(path), 0, f"not JSON: {error}")
        return
    for item in data if isinstance(data, list) else [data]:
        yield _record(path, 1, item)


def _has_records(raw: bytes) -> bool:
    """Return whether one of the next lines is a record by itself."""
    for line in raw.split(b"\n", 20)[1:20]:
        try:
            if isinstance(loads(line), dict) and len(line) > len(b'{"a": 1}'):
                return True
        except (ValueError, RecursionError):
            continue
    return False


def _lines(path: Path, first: bytes, file: IO[bytes]) -> Iterator[Record | Problem]:
    number, line = 1, first
    while line:
        if len(line) > RECORD_BYTES:
            yield Problem(str(path), number, f"more than {RECORD_BYTES >> 20} MiB in one line")
            return
        if line.strip():
            yield _line(path, number, line)
        number, line = number + 1, file.readline(RECORD_BYTES + 1)


def _line(path: Path, number: int, line: bytes) -> Record | Problem:
    try:
        found = loads(line)
    except json.JSONDecodeError as error:
        return Problem(str(path), number, f"not JSON: {error.msg} in column {error.colno}")
    except (ValueError, RecursionError) as error:
        return Problem(str(path), number, f"not JSON: {error}")
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    return _record(path, number, found)


def _record(path: Path, line: int, data: Any) -> Record | Problem:
    if not isinstance(data, dict):
        return Problem(str(path), line, f"a record must be an object, not {type(data).__name__}")
    return Record(line, data)


def loads(raw: bytes | str) -> Any:
    """Return JSON data; ``NaN`` and ``Infinity``, which JSON does not have, come as texts."""
    text = raw.decode("utf-8", "surrogatepass") if isinstance(raw, bytes) else raw
    return json.loads(text, parse_constant=str, parse_float=_finite)


def _finite(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else text


def digest(*parts: Any) -> str:
    """Return the hash of JSON data."""
    return hashlib.sha256(canonical(parts).encode()).hexdigest()


def name(*parts: Any) -> str:
    """Return parts of a record as one name of a scenario or a family: a path of plain words."""
    cleaned = (_NAME.sub("_", str(part)).strip("_.")[:100] for part in parts if part is not None)
    return "/".join(part for part in cleaned if part) or "unnamed"


def words(value: Any, default: str = "") -> str:
    """Return a short text of a record on one line, whatever it is."""
    text = " ".join(str(value).split()) if value not in (None, "") else default
    return text.encode("utf-8", "replace").decode()[:200]


def text_of(content: Any) -> str:
    """Return the text of a message's content: a text, or a list of blocks."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(filter(None, map(_block, content)))
    return canonical(content)


def reasoning_of(content: Any) -> str:
    """Return the reasoning among a message's blocks."""
    blocks = content if isinstance(content, list) else []
    found = [
        str(block.get("reasoning") or block.get("thinking") or block.get("content") or "")
        for block in blocks
        if isinstance(block, Mapping) and block.get("type") in ("reasoning", "thinking")
    ]
    return "\n".join(found)


def _block(block: Any) -> str:
    if isinstance(block, str):
        return block
    if not isinstance(block, Mapping) or block.get("type") in ("reasoning", "thinking"):
        return ""
    for key in ("text", "content", "refusal"):
        if isinstance(block.get(key), str):
            return str(block[key])
    return f"[{words(block.get('type'), 'data')}]"


def asked(call_id: Any, function: Any, arguments: Any) -> Asked:
    """Return a call; arguments that no trace can hold are kept as the text they are."""
    made = words(call_id), words(function, "unnamed")
    if isinstance(arguments, str):
        raw = arguments
        try:
            arguments = json.loads(raw or "{}")
        except (ValueError, RecursionError):
            return Asked(*made, None, raw)
    else:
        raw = ""
    arguments = {} if arguments is None else arguments
    if isinstance(arguments, dict) and _sound(arguments, _DEEPEST):
        return Asked(*made, arguments)
    return Asked(*made, None, raw or json.dumps(arguments))


def _sound(value: Any, levels: int) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, dict):
        return levels > 0 and all(_sound(item, levels - 1) for item in value.values())
    if isinstance(value, list):
        return levels > 0 and all(_sound(item, levels - 1) for item in value)
    return True
