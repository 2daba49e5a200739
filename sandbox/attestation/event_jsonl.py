"""Events as lines of JSON, one an event, lossless: texts stand in place, and the hash still proves them.

``{"run", "seq", "at", "kind", "agent", "data", "previous", "hash"}``. What is hashed is the stored form of
``data``, in which large texts are references; it is made again from the line when it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from sandbox.trace import blobs
from sandbox.trace.events import Event, canonical

FIELDS = ("run", "seq", "at", "kind", "agent", "previous", "hash")


def line(item: Event, text: Callable[[str], str]) -> str:
    """Return an event as one line, without its end.

    Args:
        item: The event.
        text: Returns a large text by its hash.
    """
    stored = json.loads(item.data)
    whole = blobs.put_back(stored, text)
    told = {name: getattr(item, name) for name in FIELDS}
    if blobs.as_text(whole, _forget) == item.data:
        return canonical({**told, "data": whole})
    # Another version drew the line between short and large texts elsewhere: as stored, texts beside.
    names = dict.fromkeys(blobs.references(stored))
    return canonical({**told, "stored": item.data, "texts": {name: text(name) for name in names}})


def event(raw: str | bytes, keep: Callable[[bytes, str], None]) -> Event:
    """Return the event of a line, in its stored form.

    Args:
        raw: The line.
        keep: Called with bytes and hash of each large text.

    Raises:
        ValueError: It is none.
    """
    try:
        told = json.loads(raw)
        if "stored" in told:
            data = told["stored"]
            for name, text in told["texts"].items():
                packed = text.encode("utf-8", "surrogatepass")
                if hashlib.sha256(packed).hexdigest() != name:
                    raise ValueError(f"its text {name[:12]}… was changed")
                keep(packed, name)
        else:
            data = blobs.as_text(told["data"], keep)
        made = Event(
            told["run"],
            told["seq"],
            told["at"],
            told["kind"],
            told["agent"],
            data,
            told["previous"],
            told["hash"],
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no event: {type(error).__name__}: {error}") from error
    if not _sound(made):
        raise ValueError("no event: its fields are of other types")
    return made


def _sound(item: Event) -> bool:
    texts: tuple[Any, ...] = (item.run, item.kind, item.agent, item.data, item.previous, item.hash)
    return (
        all(isinstance(text, str) for text in texts)
        and type(item.seq) is int
        and type(item.at) is float
    )


def _forget(raw: bytes, sha256: str) -> None:
    """Large texts of an event that is written are in the line already."""
