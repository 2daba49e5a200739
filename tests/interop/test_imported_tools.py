"""Tools of imported runs: any schema of a record becomes one that all its calls fit."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sandbox.guest import arguments
from sandbox.interop.importers.imported_run import ToolDefinition
from sandbox.interop.importers.tools import tool

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
KINDS = st.sampled_from(
    ["string", "integer", "number", "boolean", "array", "object", "null", "any", 7]
)
SCHEMAS = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": KINDS | st.lists(KINDS, max_size=3),
            "description": VALUES,
            "enum": VALUES,
            "$ref": st.text(max_size=3),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": KINDS,
            "anyOf": st.lists(inner, max_size=3),
            "items": inner,
            "additionalProperties": inner | st.booleans(),
            "oneOf": VALUES,
        },
    ),
    max_leaves=5,
)
NAMES = st.sampled_from(["to", "path", "n", "x"])


@given(
    st.dictionaries(NAMES, SCHEMAS) | VALUES,
    VALUES | st.lists(NAMES),
    st.lists(st.dictionaries(NAMES, VALUES), max_size=4),
)
def test_every_call_fits_what_the_record_shows(
    properties: Any, required: Any, calls: list[dict[str, Any]]
) -> None:
    """Whatever a record defines, monitors can check its calls, and none of them is unfit."""
    defined = ToolDefinition("f", "Does it.", {"properties": properties, "required": required})
    for told in (defined, None):
        found = tool("kit.f", "f", told, calls)
        for call in calls:
            assert arguments.problems(found.parameters, call) == []


def test_a_sound_schema_is_kept() -> None:
    """Types, choices, lists and words of a definition stay as they are."""
    schema = {
        "type": "object",
        "properties": {
            "to": {"type": "array", "items": {"type": "string"}, "description": "Who."},
            "cc": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "kind": {"enum": ["a", "b"]},
            "note": {"type": ["string", "null"], "maxLength": 5},
        },
        "required": ["to"],
        "additionalProperties": False,
    }
    found = tool("mail.send", "send", ToolDefinition("send", "Sends.", schema), [{"to": ["x"]}])
    assert found.parameters == {
        "type": "object",
        "properties": {
            "to": {"type": "array", "items": {"type": "string"}, "description": "Who."},
            "cc": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "kind": {"enum": ["a", "b"]},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["to"],
    }
    assert found.recipients == ("to", "cc")


def test_what_calls_show_widens_a_schema() -> None:
    """A value of another type, an argument nobody defined, one that is missing: all fit then."""
    told = ToolDefinition("f", "", {"properties": {"n": {"type": "integer"}}, "required": ["n"]})
    found = tool("k.f", "f", told, [{"n": "seven"}, {"extra": True}])
    assert found.parameters == {
        "type": "object",
        "properties": {
            "n": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "extra": {"type": "boolean"},
        },
        "required": [],
    }
