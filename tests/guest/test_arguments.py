"""What the guest says of a call's arguments."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.guest.arguments import describe, problems

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below, max_size=3)
    ),
    max_leaves=6,
)
SCHEMA = {
    "properties": {
        "to": {"type": "array", "items": {"type": "string"}},
        "amount": {"type": "number"},
        "count": {"type": "integer"},
        "how": {"enum": ["now", "later"]},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "rates": {"type": "object", "additionalProperties": {"type": "number"}},
        "again": {"type": "boolean"},
    },
    "required": ["to"],
}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "missing argument 'to'"),
    "text for a list": ({"to": "a"}, "argument 'to' should be a list of string"),
    "number in a list": ({"to": ["a", 1]}, "argument 'to' should be a list of string"),
    "text for a number": ({"to": [], "amount": "1"}, "argument 'amount' should be number"),
    "true for a number": ({"to": [], "amount": True}, "argument 'amount' should be number"),
    "true for an integer": ({"to": [], "count": True}, "argument 'count' should be integer"),
    "fraction": ({"to": [], "count": 1.5}, "argument 'count' should be integer"),
    "one for true": ({"to": [], "again": 1}, "argument 'again' should be boolean"),
    "other choice": ({"to": [], "how": "soon"}, "argument 'how' should be one of 'now', 'later'"),
    "neither": ({"to": [], "note": 5}, "argument 'note' should be string or null"),
    "value in a map": ({"to": [], "rates": {"a": "b"}}, "argument 'rates' should be object"),
    "null": ({"to": None}, "argument 'to' should be a list of string"),
    "other name": ({"to": [], "cc": []}, "unknown argument 'cc'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_argument_is_described(case: str) -> None:
    """The agent reads which argument is wrong and what it should be."""
    given_, expected = WRONG[case]
    assert [expected] == problems(SCHEMA, given_)


def test_right_arguments_have_no_problem() -> None:
    """Every type that a tool can take is accepted, an integer as a number too."""
    right = {"to": ["a"], "amount": 1, "count": 2, "how": "now", "note": None, "rates": {"a": 0.5}}
    assert problems(SCHEMA, right) == []


def test_all_problems_are_told_at_once() -> None:
    """An agent need not try again for each mistake."""
    assert problems(SCHEMA, {"x": 1, "count": "2"}) == [
        "unknown argument 'x'",
        "missing argument 'to'",
        "argument 'count' should be integer",
    ]


@given(st.dictionaries(st.sampled_from([*SCHEMA["properties"], "x"]), ANYTHING))
def test_any_arguments_are_judged(given_: dict[str, Any]) -> None:
    """Whatever JSON a model writes, it is judged and not a crash."""
    assert all(isinstance(problem, str) for problem in problems(SCHEMA, given_))


def test_a_type_without_a_name_is_any_value() -> None:
    """A parameter without a type takes anything."""
    assert (describe({}), problems({"properties": {"x": {}}}, {"x": [1, "a"]})) == ("any value", [])


def test_several_types_and_unknown_ones() -> None:
    """Schemas of imported traces may list types, or name some that nobody here knows."""
    schema = {"properties": {"x": {"type": ["string", "null"]}, "y": {"type": "file"}}}
    assert problems(schema, {"x": None, "y": 3}) == []
    assert len(problems(schema, {"x": 3})) == 1
