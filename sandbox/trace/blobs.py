"""Large texts, taken out of events and named by their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import zstandard

from sandbox.trace.events import canonical

Keep = Callable[[bytes, str], None]
"""Is handed the bytes and the hash of each large text."""
THRESHOLD = 1024
"""Texts of more characters than this are stored as blobs."""
_LEVEL = 3
_REFERENCE = {"$blob", "size"}
_LITERAL = "$literal"
"""Stands before data that looks like a reference: an agent's arguments may hold any keys."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A text ready to be stored."""

    sha256: str
    size: int
    packed: bytes
    packed_sha256: str

    @classmethod
    def of(cls, raw: bytes, sha256: str) -> Blob:
        """Return a text packed, given its bytes and their hash."""
        packed = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(raw)
        return cls(sha256, len(raw), packed, hashlib.sha256(packed).hexdigest())


def unpack(packed: bytes, size: int) -> str:
    """Return the text of a blob.

    Raises:
        ValueError: The bytes are no blob of this size.
    """
    return unpacked(packed, size).decode("utf-8", "surrogatepass")


def unpacked(packed: bytes, size: int) -> bytes:
    """Return the text of a blob as UTF-8.

    Raises:
        ValueError: The bytes are no blob of this size.
    """
    try:
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=max(size, 1))
    except zstandard.ZstdError as error:
        raise ValueError(f"cannot be decompressed: {error}") from error


def as_text(value: Any, keep: Keep) -> str:
    """Return JSON data in canonical form with every large text taken out; see :func:`take_out`."""
    if not _is_large(value):
        text = canonical(value)
        if len(text) <= THRESHOLD and '"$' not in text:  # plain ASCII: no text in it is longer
            return text
    return canonical(take_out(value, keep))


def _is_large(value: Any) -> bool:
    """Return whether one of the values is a large text: seen at once, without a look inside."""
    inner = value.values() if isinstance(value, dict) else ()
    return any(type(item) is str and len(item) > THRESHOLD for item in inner)


def take_out(value: Any, keep: Keep) -> Any:
    """Return JSON data with every large text replaced by a reference.

    Args:
        value: The data.
        keep: Called with bytes and hash of each large text.
    """
    if isinstance(value, str):
        if len(value) <= THRESHOLD:
            return value
        raw = value.encode("utf-8", "surrogatepass")
        sha256 = hashlib.sha256(raw).hexdigest()
        keep(raw, sha256)
        return {"$blob": sha256, "size": len(raw)}
    if isinstance(value, dict):
        inner = {key: take_out(item, keep) for key, item in value.items()}
        return {_LITERAL: inner} if _reserved(value) else inner
    if isinstance(value, (list, tuple)):
        return [take_out(item, keep) for item in value]
    return value


def references(value: Any) -> list[str]:
    """Return the hashes of all blobs that JSON data refers to."""
    if isinstance(value, dict):
        if value.keys() == _REFERENCE:
            return [value["$blob"]]
        value = value[_LITERAL] if value.keys() == {_LITERAL} else value
        return [found for item in value.values() for found in references(item)]
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    return []


def put_back(value: Any, fetch: Callable[[str], str]) -> Any:
    """Return JSON data with every reference replaced by its text."""
    if isinstance(value, dict):
        if value.keys() == _REFERENCE:
            return fetch(value["$blob"])
        value = value[_LITERAL] if value.keys() == {_LITERAL} else value
        return {key: put_back(item, fetch) for key, item in value.items()}
    if isinstance(value, list):
        return [put_back(item, fetch) for item in value]
    return value


def _reserved(value: dict[str, object]) -> bool:
    return value.keys() == _REFERENCE or value.keys() == {_LITERAL}
