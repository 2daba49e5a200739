"""Tools of an imported run: as the record defines them, or as its calls show them, with inferred labels.

Records define parameters by any JSON Schema. What is kept is the part that the sandbox's own tools have, and
it is widened until every call of the record fits: the tools were called that way, and monitors judge only
calls that fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sandbox.guest import arguments
from sandbox.interop.importers.imported_run import ToolDefinition
from sandbox.interop.importers.tool_label_inference import infer_labels
from sandbox.scenario.toolkits import Tool
from sandbox.scenario.validation import JsonObject

_TYPES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}
_HOLDERS = {"array": "items", "object": "additionalProperties"}
_DEEPEST = 16


def tool(
    name: str, function: str, definition: ToolDefinition | None, calls: Sequence[JsonObject]
) -> Tool:
    """Return a tool.

    Args:
        name: ``toolkit.function``.
        function: As the model calls it.
        definition: As the record defines it, if it does.
        calls: The arguments of each of its calls.
    """
    properties: dict[str, JsonObject] = {}
    required: list[str] = []
    if definition is not None:
        defined = definition.parameters.get("properties")
        if isinstance(defined, Mapping):
            properties = {str(key): _subset(value, _DEEPEST) for key, value in defined.items()}
        names = definition.parameters.get("required")
        if isinstance(names, list):
            required = [key for key in names if isinstance(key, str) and key in properties]
    for call in calls:
        properties |= {key: _widen(properties.get(key), key, call[key]) for key in call}
        required = [key for key in required if key in call]
    description = definition.description if definition else ""
    inferred = infer_labels(function, description, properties)
    parameters = {"type": "object", "properties": properties, "required": required}
    return Tool(name, description, parameters, **vars(inferred), line=0)


def _widen(schema: JsonObject | None, key: str, value: object) -> JsonObject:
    """Return a schema that takes a value, as near to the one before as can be."""
    seen: JsonObject = {"type": _TYPES.get(type(value), "string")}
    if schema is None:
        return seen
    if _fits(schema, key, value):
        return schema
    kept = {name: schema[name] for name in ("description",) if name in schema}
    options = schema.get("anyOf") or [{k: v for k, v in schema.items() if k != "description"}]
    if not isinstance(options, list) or any("type" not in option for option in options):
        return kept
    wide = {"anyOf": [*options, seen], **kept}
    return wide if _fits(wide, key, value) else kept


def _fits(schema: JsonObject, key: str, value: object) -> bool:
    return not arguments.problems({"properties": {key: schema}}, {key: value})


def _subset(schema: object, levels: int) -> JsonObject:
    """Return the part of a JSON Schema that tools of the sandbox have; an empty one takes anything."""
    if not isinstance(schema, Mapping) or levels == 0:
        return {}
    text = schema.get("description")
    description = {"description": text} if isinstance(text, str) and text else {}
    options, kinds = schema.get("anyOf") or schema.get("oneOf"), schema.get("type")
    if isinstance(options, list) and options:
        inner = [_subset(option, levels - 1) for option in options]
    elif isinstance(schema.get("enum"), list):
        return {"enum": list(schema["enum"]), **description}
    elif isinstance(kinds, list):
        inner = [_typed({**schema, "type": kind}, levels) for kind in kinds]
    else:
        return {**_typed(schema, levels), **description}
    return {"anyOf": inner, **description} if inner and all(inner) else {**description}


def _typed(schema: Mapping[str, object], levels: int) -> JsonObject:
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _TYPES.values():
        return {}
    holder = _HOLDERS.get(kind)
    inner = _subset(schema.get(holder), levels - 1) if holder else {}
    return {"type": kind, **({holder: inner} if holder and inner else {})}
