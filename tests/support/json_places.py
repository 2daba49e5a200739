"""Places of JSON data, and values that are of a wrong type at most of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, TypeVar

T = TypeVar("T")
Place = tuple[str | int, ...]
WRONG: list[Any] = [
    *(None, True, False, 0, 1, -1, 1.5, 10**30, "", "x", "\ud800", "attachment://h"),
    *([], {}, [1], [[]], [{}], ["x"], [None], {"a": 1}, {"a": [1]}),
]


def places(value: Any, at: Place = (), most: int = 99) -> Iterator[Place]:
    """Yield the place of every value in JSON data but the whole, down to a number of levels."""
    holds = isinstance(value, (dict, list)) and len(at) < most
    for key in (value if isinstance(value, dict) else range(len(value))) if holds else ():
        yield (*at, key)
        yield from places(value[key], (*at, key), most)


def replaced(record: T, place: Place, value: Any) -> T:
    """Return JSON data with another value at a place."""
    changed = copy.deepcopy(record)
    at: Any = changed
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    return changed
