"""What pydantic finds wrong in a file, told by line, key and the nearest valid name."""

from __future__ import annotations

from functools import cache
from types import NoneType
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.json_schema import JsonSchemaValue

from sandbox.errors import Problem, ScenarioError, nearest
from sandbox.scenario.yaml_positions import Located

Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")
JsonObject = dict[str, object]
"""An object of JSON data of which nothing more is known."""
_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    NoneType: "null",
}
_JSON_TYPES = {
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "an object"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    **dict.fromkeys(("float_type", "float_parsing", "int_type", "int_parsing"), "a number"),
    **dict.fromkeys(("string_type",), "a text"),
}
"""Pydantic's type of an error → what JSON calls the type that is expected."""


class Strict(BaseModel):
    """A part of a file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def validate(model: type[Model], document: Located) -> Model:
    """Return a document as a model.

    Raises:
        ScenarioError: With everything that does not fit, by file and line.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise ScenarioError(_problems(error, document, model)) from None


def parse_as(kind: type[T], data: object, place: str = "") -> T:
    """Return data of other programs as a type that pydantic knows, such as a model or ``list[str]``.

    Args:
        kind: The type.
        data: The data.
        place: Where they stand in a larger object, with dots.

    Raises:
        ValueError: It does not fit; what is wrong first and where, on one line.
    """
    try:
        return cast("T", _adapter(kind).validate_python(data))  # type: ignore[arg-type]
    except ValidationError as error:
        raise ValueError(first_problem(error, place)) from error


def first_problem(error: ValidationError, place: str = "") -> str:
    """Return what is wrong first and where, on one line; ``place`` is where the data stand."""
    first = error.errors(include_url=False)[0]
    at = ".".join(filter(None, (place, *map(str, first["loc"]))))
    if first["type"] == "missing":
        return f"{at!r} is missing"
    message = first["msg"].removeprefix("Value error, ")
    if expected := _JSON_TYPES.get(first["type"]):
        message = mismatch(expected, first["input"])
    return f"{at}: {message}" if at else message


def mismatch(expected: str, value: object) -> str:
    """Return what is wrong with a value of another JSON type than is expected."""
    return f"must be {expected}, not {_NAMES.get(type(value), type(value).__name__)}"


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _problems(error: ValidationError, document: Located, model: type[BaseModel]) -> list[Problem]:
    found = []
    for item in error.errors():
        path = _path(item["loc"], document.data)
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            key = str(item["loc"][-1])
            path = (*path[: len(path)], key) if not path or path[-1] != key else path
            message = f"unknown key {key!r}{nearest(key, _keys(model, item['loc'][:-1]))}"
        elif item["type"] == "missing":
            message = f"the key {item['loc'][-1]!r} is missing"
        else:
            shown = ".".join(map(str, path))
            message = f"{shown}: {message[:1].lower()}{message[1:]}" if shown else message
        found.append(document.problem(path, message))
    return list(dict.fromkeys(found))


def _path(loc: tuple[int | str, ...], data: Any) -> tuple[int | str, ...]:
    """Return the part of pydantic's location that exists in the data; unions add steps of their own."""
    path: list[int | str] = []
    for step in loc:
        if isinstance(data, dict) and step in data:
            data = data[str(step)]
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            continue
        path.append(step)
    return tuple(path)


def _keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> set[str]:
    """Return the keys that the schema allows at a location."""
    schema = model.model_json_schema(by_alias=True)
    node = schema
    for step in loc:
        node = _resolve(schema, node)
        if isinstance(step, int):
            node = node.get("items", {})
        elif step in node.get("properties", {}):
            node = node["properties"][step]
        else:
            extra = (node.get("additionalProperties"), *node.get("patternProperties", {}).values())
            node = next((schema for schema in extra if isinstance(schema, dict)), node)
    return set(_resolve(schema, node).get("properties", {}))


def _resolve(schema: JsonSchemaValue, node: JsonSchemaValue) -> JsonSchemaValue:
    for option in (node, *node.get("anyOf", ()), *node.get("oneOf", ())):
        if "$ref" in option:
            return cast("JsonSchemaValue", schema["$defs"][option["$ref"].rsplit("/", 1)[1]])
        if option is not node and "oneOf" in option:
            return _resolve(schema, option)
    return node
