"""Tools of an imported run: as the record defines them, or as its calls show them, with inferred labels.

Records define parameters by any JSON Schema. What is kept is the part that the sandbox's own tools have, and
it is widened until every call of the record fits: the tools were called that way, and monitors judge only
calls that fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.guest import arguments
from sandbox.interop.importers.imported_run import Given
from sandbox.interop.importers.tool_label_inference import labels
from sandbox.scenario.toolkits import Tool

_TYPES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}
_DEEPEST = 16


def tool(name: str, function: str, given: Given | None, calls: Sequence[Mapping[str, Any]]) -> Tool:
    """Return a tool.

    Args:
        name: ``toolkit.function``.
        function: As the model calls it.
        given: As the record defines it, where it does.
        calls: The arguments of each of its calls.
    """
    properties: dict[str, dict[str, Any]] = {}
    required: list[str] = []
    if given is not None:
        told = given.parameters.get("properties")
        if isinstance(told, Mapping):
            properties = {str(key): _subset(value, _DEEPEST) for key, value in told.items()}
        wanted = given.parameters.get("required")
        if isinstance(wanted, list):
            required = [key for key in wanted if isinstance(key, str) and key in properties]
    for call in calls:
        for key, value in call.items():
            properties[key] = _widened(properties.get(key), key, value)
        required = [key for key in required if key in call]
    description = given.description if given else ""
    found = labels(function, description, properties)
    return Tool(
        name,
        description,
        {"type": "object", "properties": properties, "required": required},
        found.labels,
        found.recipients,
        found.paths,
        found.shell,
        found.python,
        line=0,
    )


def _widened(schema: dict[str, Any] | None, key: str, value: Any) -> dict[str, Any]:
    """Return a schema that takes a value, as near to the one before as can be."""
    seen = {"type": _TYPES.get(type(value), "string")}
    if schema is None:
        return seen
    if not arguments.problems({"properties": {key: schema}}, {key: value}):
        return schema
    kept = {name: schema[name] for name in ("description",) if name in schema}
    options = schema.get("anyOf") or [{k: v for k, v in schema.items() if k != "description"}]
    if any("type" not in option for option in options):
        return kept
    wide = {"anyOf": [*options, seen], **kept}
    fits = not arguments.problems({"properties": {key: wide}}, {key: value})
    return wide if fits else kept


def _subset(schema: Any, levels: int) -> dict[str, Any]:
    """Return the part of a JSON Schema that tools of the sandbox have; an empty one takes anything."""
    if not isinstance(schema, Mapping) or levels == 0:
        return {}
    description = schema.get("description")
    told = {"description": description} if isinstance(description, str) and description else {}
    options = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(options, list) and options:
        inner = [_subset(option, levels - 1) for option in options]
        return {"anyOf": inner, **told} if all(inner) else told
    if isinstance(schema.get("enum"), list):
        return {"enum": list(schema["enum"]), **told}
    kinds = schema.get("type")
    if isinstance(kinds, list):
        inner = [_typed({**schema, "type": kind}, levels) for kind in kinds]
        return {"anyOf": inner, **told} if inner and all(inner) else told
    return {**_typed(schema, levels), **told}


def _typed(schema: Mapping[str, Any], levels: int) -> dict[str, Any]:
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _TYPES.values():
        return {}
    made: dict[str, Any] = {"type": kind}
    for key, holder in (("items", "array"), ("additionalProperties", "object")):
        if kind == holder and isinstance(schema.get(key), Mapping):
            inner = _subset(schema[key], levels - 1)
            made |= {key: inner} if inner else {}
    return made
