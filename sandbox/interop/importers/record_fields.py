"""Fields of a record, of the shape that its format says, as what runs need: names, short texts, times."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

from pydantic import FiniteFloat

from sandbox.scenario.validation import JsonObject, parsed
from sandbox.trace.events import canonical

_UNSAFE = re.compile(r"[^\w.@:+=-]+")


def required(data: JsonObject, key: str) -> object:
    """Return a field that no record lacks; raise ValueError if this one does."""
    if key not in data:
        raise ValueError(f"{key!r} is missing")
    return data[key]


def fields(value: object) -> JsonObject:
    """Return an object, an empty one for none; raise ValueError if it is something else."""
    return parsed(JsonObject, value or {})


def objects(value: object) -> list[JsonObject]:
    """Return a list of objects, an empty one for none; raise ValueError if it is something else."""
    return parsed(list[JsonObject], value or [])


def number(value: object) -> float:
    """Return a number, 0 for none; raise ValueError if it is something else, or not finite."""
    return parsed(FiniteFloat, value or 0.0)


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


def timestamp(value: object) -> float | None:
    """Return a time in ISO 8601, without a zone in UTC, as seconds since the epoch; None if it is none."""
    try:
        time = datetime.fromisoformat(str(value))
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
