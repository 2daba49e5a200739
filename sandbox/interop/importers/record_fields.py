"""Fields of a record, of the shape that its format says, as what runs need: names, short texts, times."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import BeforeValidator, Field, PlainValidator

from sandbox.scenario.validation import mismatch
from sandbox.trace.events import canonical

_UNSAFE = re.compile(r"[^\w.@:+=-]+")
_MOST = 1e9
_LATEST = 1e11  # no calendar knows times that are far beyond it


def digest(*parts: object) -> str:
    """Return the hash of JSON data, from which the id of a run comes."""
    return hashlib.sha256(canonical(parts).encode()).hexdigest()


def name(*parts: object) -> str:
    """Return parts of a record as one name of a scenario or a family: a path of plain words."""
    cleaned = (_UNSAFE.sub("_", str(part)).strip("_.")[:100] for part in parts if part is not None)
    return "/".join(part for part in cleaned if part) or "unnamed"


def words(value: object, default: str = "") -> str:
    """Return a short text of a record on one line, whatever it is."""
    text = " ".join(str(value).split()) if value not in (None, "") else default
    return text.encode("utf-8", "replace").decode()[:200]


def _short_text(value: object) -> str:
    if isinstance(value, (dict, list)):
        raise ValueError(mismatch("a text", value))  # noqa: TRY004 - what pydantic takes as a finding
    return words(value)


def _timestamp(value: object) -> float | None:
    """Return a time in ISO 8601, without a zone in UTC, as seconds since the epoch; None if it is none."""
    try:
        time = datetime.fromisoformat(str(value))
        seconds = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < _LATEST else None


T = TypeVar("T")
ShortText = Annotated[str, PlainValidator(_short_text)]
"""A text or a number, as a short text on one line."""
Fields = Annotated[dict[str, T], BeforeValidator(lambda value: value or {})]
"""An object; an empty one if there is none."""
Object = Fields[object]
Items = Annotated[tuple[T, ...], BeforeValidator(lambda value: value or ())]
"""A list; an empty one if there is none."""
Maybe = Annotated[T | None, BeforeValidator(lambda value: value or None)]
"""A value, if there is one."""
Number = Annotated[
    float, BeforeValidator(lambda value: value or 0.0), Field(strict=True, ge=0, lt=_MOST)
]
"""Seconds, or a number of tokens; 0 if there is none."""
Timestamp = Annotated[float | None, PlainValidator(_timestamp)]
"""A time in ISO 8601 as seconds since the epoch; None if there is none."""
