"""The difference of two JSON values, against the ``jsonpatch`` library."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.guest.json_patch import diff

KEYS = st.sampled_from(["a", "b", "~", "/", "~1", "a/b", "", "0", "é"])
JSON = st.recursive(
    st.none() | st.integers(2, 9) | st.sampled_from(["", "x", "y"]),
    lambda below: st.lists(below, max_size=5) | st.dictionaries(KEYS, below, max_size=4),
    max_leaves=15,
)
LISTS = st.lists(
    st.integers(2, 5) | st.dictionaries(KEYS, st.integers(2, 4), max_size=2), max_size=7
)


@given(JSON, JSON)
def test_the_patch_turns_one_value_into_the_other(before: Any, after: Any) -> None:
    """Applied by another implementation of RFC 6902, the patch gives the value as it is."""
    patched = jsonpatch.apply_patch(copy.deepcopy(before), diff(before, after))
    assert after == patched


@given(LISTS, LISTS)
def test_lists_are_patched_at_any_position(before: Any, after: Any) -> None:
    """What was put in, cut and changed anywhere in a list is told in an order that applies."""
    patch = diff({"list": before}, {"list": after})
    assert {"list": after} == jsonpatch.apply_patch({"list": copy.deepcopy(before)}, patch)


@given(JSON)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    """Without a change there is nothing to report."""
    assert diff(value, copy.deepcopy(value)) == []


@given(JSON, JSON)
def test_neither_value_is_changed(before: Any, after: Any) -> None:
    """Comparing leaves both values as they were."""
    copies = copy.deepcopy((before, after))
    diff(before, after)
    assert copies == (before, after)


@given(st.lists(JSON, max_size=4), st.lists(JSON, min_size=1, max_size=3))
def test_what_is_appended_is_reported_alone(before: list[Any], more: list[Any]) -> None:
    """A list that grew is told by what was added, not by all that it holds."""
    patch = diff(before, before + more)
    assert [("add", item) for item in more] == [(op["op"], op["value"]) for op in patch]


@given(st.lists(st.integers(2, 9), unique=True, min_size=1), st.data())
def test_what_is_cut_out_is_reported_alone(before: list[int], data: st.DataObject) -> None:
    """A list that lost one entry is told by that entry."""
    index = data.draw(st.integers(0, len(before) - 1))
    after = before[:index] + before[index + 1 :]
    assert [{"op": "remove", "path": f"/{index}"}] == diff(before, after)


def test_the_path_of_the_section_stands_before_each_path() -> None:
    """Operations are told from the root that is given."""
    patch = diff({"payments": []}, {"payments": [1]}, "/bank")
    assert patch == [{"op": "add", "path": "/bank/payments/0", "value": 1}]


@pytest.mark.parametrize(
    ("before", "after"), [({}, []), ([], {}), ("1", 1), (None, False), ([1], "1"), ({"a": 1}, None)]
)
def test_a_value_of_another_type_is_replaced(before: Any, after: Any) -> None:
    """Where the type changes there is nothing to compare."""
    assert [{"op": "replace", "path": "", "value": after}] == diff(before, after)
