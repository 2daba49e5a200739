"""Checking a call's arguments against the tool's schema, inside the guest.

Covers the part of JSON Schema that ``sandbox.scenario.toolkits`` writes from type annotations,
and nothing more: scalars, lists, objects, enums and unions. Schemas of tools in imported traces are
anyone's: what is not covered fits.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Schema = Mapping[str, Any]
    """A JSON Schema: its keywords have values of every kind."""

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def problems(schema: Schema, arguments: Mapping[str, object]) -> list[str]:
    """Return what is wrong with the arguments of a call, in words for the agent; empty if fine."""
    known = schema.get("properties", {})
    found = [f"unknown argument {name!r}" for name in arguments if name not in known]
    found += [f"missing argument {n!r}" for n in schema.get("required", ()) if n not in arguments]
    for name, value in arguments.items():
        if name in known and not _fits(known[name], value):
            found.append(f"argument {name!r} should be {describe(known[name])}")
    return found


def describe(schema: Schema) -> str:
    """Return a schema in a few words, such as ``a list of string``."""
    if "anyOf" in schema:
        return " or ".join(describe(option) for option in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(repr(value) for value in schema["enum"])
    kind = schema.get("type", "any value")
    if kind == "array" and "items" in schema:
        return f"a list of {describe(schema['items'])}"
    return str(kind)


def _fits(schema: Schema, value: Any) -> bool:
    if "anyOf" in schema:
        return any(_fits(option, value) for option in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    kind = schema.get("type")
    if isinstance(kind, list):
        return any(_fits({**schema, "type": one}, value) for one in kind)
    if kind not in _TYPES:
        return True
    if isinstance(value, bool) and kind != "boolean":
        return False
    if not isinstance(value, _TYPES[kind]):
        return False
    return _contents_fit(schema, value)


def _contents_fit(schema: Schema, value: Any) -> bool:
    kind = schema["type"]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return False  # 1e999 and the like: no JSON can carry it any further
    if kind == "array" and "items" in schema:
        return all(_fits(schema["items"], item) for item in value)
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return all(_fits(schema["additionalProperties"], item) for item in value.values())
    return True
