"""What the classes of events and effects say, for readers elsewhere: a JSON Schema, and rows of a table.

``docs/trace.schema.json`` and the tables of ``docs/events.md`` are made from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from typing_extensions import is_typeddict

from sandbox.trace.effects import Effect
from sandbox.trace.event_types import KINDS
from sandbox.trace.events import FORMAT
from sandbox.trace.fields import Mark, hints, metadata

EFFECTS: tuple[type, ...] = get_args(Effect)
"""The classes of effects."""
_ENVELOPE: dict[str, dict[str, object]] = {
    "run": {"type": "string", "description": "id of the run"},
    "seq": {"type": "integer", "minimum": 0, "description": "position in the run, from 0"},
    "at": {"type": "number", "description": "seconds since the epoch, by the host's clock"},
    "kind": {"enum": list(map(str, KINDS)), "description": "what it tells"},
    "agent": {"type": "string", "description": "the agent that it concerns; may be empty"},
    "data": {"type": "object", "description": "by kind"},
    "previous": {"type": "string", "description": "hash of the event before"},
    "hash": {"type": "string", "description": "hash of this event"},
}
_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "any"}


class Row(NamedTuple):
    """One field, as a table tells it."""

    field: str
    """With the fields that it lies in: ``usage.cost_eur``, ``calls[].id``, ``decoys{}.path``."""
    type: str
    holds: str


def json_schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of an event with its texts in place.

    Of an event's data, fields that it does not name are allowed: later versions add some.
    """
    from pydantic import TypeAdapter

    adapters = [(kind, "validation", TypeAdapter[Any](known.data)) for kind, known in KINDS.items()]
    references, shared = TypeAdapter.json_schemas(adapters)  # type: ignore[arg-type]
    definitions: dict[str, Any] = shared["$defs"]
    for kind in _all_kinds():
        _describe(definitions[kind.__name__], kind)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Event of a trace, format {FORMAT}",
        "description": "One event with its texts in place: a line of an export as JSON Lines.",
        "type": "object",
        "properties": _ENVELOPE,
        "required": list(_ENVELOPE),
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": str(kind)}}},
                "then": {"properties": {"data": references[kind, "validation"]}},
            }
            for kind in KINDS
        ],
        "$defs": definitions,
    }


def _describe(definition: dict[str, Any], kind: type) -> None:
    definition.pop("title", None)
    for name, hint in hints(kind).items():
        field = definition["properties"][name]
        field.pop("title", None)
        if text := _text(hint):
            field["description"] = text


def _all_kinds() -> set[type]:
    """Return every typed dict of events and effects, those inside of others too."""
    found: set[type] = set()
    waiting: list[Any] = [known.data for known in KINDS.values()]
    while waiting:
        plain, _ = metadata(waiting.pop())
        if is_typeddict(plain) and plain not in found:
            found.add(plain)
            waiting += hints(plain).values()
        waiting += get_args(plain) if get_origin(plain) is not Literal else ()
    return found


def rows(kind: type, inside: str = "") -> Iterator[Row]:
    """Yield the fields of a typed dict, and those of the ones in it; effects have tables of their own."""
    optional: frozenset[str] = kind.__optional_keys__  # type: ignore[attr-defined]
    for name, hint in hints(kind).items():
        marks = [mark.name.lower() for mark in Mark if mark in metadata(hint)[1]]
        notes = ["optional"] * (name in optional) + marks
        shown = "; ".join(filter(None, (_type_name(hint), ", ".join(notes))))
        yield Row(f"{inside}{name}", shown, _text(hint))
        below, sign = _inner(hint)
        if below is not None:
            yield from rows(below, f"{inside}{name}{sign}.")


def _inner(hint: Any) -> tuple[type | None, str]:
    """Return the typed dict in a field, and how many of them there are: ``[]`` a list, ``{}`` a map."""
    plain, _ = metadata(hint)
    if is_typeddict(plain):
        return plain, ""
    if get_origin(plain) in (Union, UnionType):
        found = [_inner(each) for each in get_args(plain)]
        return (
            next((each for each in found if each[0]), (None, "")) if len(found) == 2 else (None, "")
        )
    if get_origin(plain) in (list, dict):
        below, sign = _inner(get_args(plain)[-1])
        return below, ("[]" if get_origin(plain) is list else "{}") + sign
    return None, ""


def _type_name(hint: Any) -> str:
    plain, _ = metadata(hint)
    origin, inner = get_origin(plain), get_args(plain)
    if plain == Effect:
        return "effect"
    if origin in (Union, UnionType):
        return " or ".join("null" if each is type(None) else _type_name(each) for each in inner)
    if origin is list:
        return f"list of {_type_name(inner[0])}"
    if origin is dict:
        return f"map to {_type_name(inner[1])}"
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in inner)
    if isinstance(plain, type) and issubclass(plain, StrEnum):
        return "text"
    return "object" if is_typeddict(plain) else _NAMES[plain]


def _text(hint: Any) -> str:
    return next((each for each in metadata(hint)[1] if isinstance(each, str)), "")
