"""Events as lines of JSON, one an event, lossless: texts stand in place, and the hash still proves them.

``{"run", "seq", "at", "kind", "agent", "data", "previous", "hash"}``. What is hashed is the stored form of
``data``, in which large texts are references; it is made again from the line when it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from pydantic import BaseModel

from sandbox.scenario.validation import JsonObject, parse_as
from sandbox.trace import blobs
from sandbox.trace.events import Event, canonical

FIELDS = ("run", "seq", "at", "kind", "agent", "previous", "hash")


class _Line(BaseModel, strict=True):
    run: str
    seq: int
    at: float
    kind: str
    agent: str
    previous: str
    hash: str
    data: JsonObject = {}
    stored: str | None = None
    texts: dict[str, str] = {}


def line(item: Event, text: Callable[[str], str]) -> str:
    """Return an event as one line, without its end.

    Args:
        item: The event.
        text: Returns a large text by its hash.
    """
    stored = json.loads(item.data)
    data = blobs.put_back(stored, text)
    fields = {name: getattr(item, name) for name in FIELDS}
    if blobs.as_text(data, lambda raw, sha256: None) == item.data:
        return canonical({**fields, "data": data})
    # Another version drew the line between short and large texts elsewhere: as stored, texts beside.
    names = dict.fromkeys(blobs.references(stored))
    return canonical({**fields, "stored": item.data, "texts": {name: text(name) for name in names}})


def event(raw: str | bytes, keep: Callable[[bytes, str], None]) -> Event:
    """Return the event of a line, in its stored form.

    Args:
        raw: The line.
        keep: Called with bytes and hash of each large text.

    Raises:
        ValueError: It is none.
    """
    try:
        fields = parse_as(_Line, json.loads(raw))
        stored = blobs.as_text(fields.data, keep) if fields.stored is None else fields.stored
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no event: {error}") from error
    for name, text in fields.texts.items():
        packed = text.encode("utf-8", "surrogatepass")
        if hashlib.sha256(packed).hexdigest() != name:
            raise ValueError(f"its text {name[:12]}… was changed")
        keep(packed, name)
    return Event(**{name: getattr(fields, name) for name in FIELDS}, data=stored)
