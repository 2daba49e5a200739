"""YAML with the line of every key: scalars of YAML 1.2, places, and text of any kind."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import ScenarioError
from sandbox.scenario.yaml_positions import Located, parse

LINE_BREAKS = "\n\r\x85\u2028\u2029"
YAML_SIGNS = st.text(alphabet="a1.-:?,[]{}#&*!|>'\"%@`~<= \n\t\\é\u2028", max_size=60)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(st.characters(categories=("L", "N", "P", "Z", "S")), max_size=8),
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(st.text("abcdeé /~", max_size=4), below, max_size=4)
    ),
    max_leaves=12,
)

SCALARS = {
    "5": 5,
    "-7": -7,
    "+3": 3,
    "0": 0,
    "007": "007",
    "0x1F": "0x1F",
    "0o17": "0o17",
    "1_000": "1_000",
    "1.5": 1.5,
    ".5": 0.5,
    "1e3": 1000.0,
    "1.": "1.",
    "12:30": "12:30",
    "2026-03-02": "2026-03-02",
    "true": True,
    "False": False,
    "yes": "yes",
    "off": "off",
    "null": None,
    "~": None,
    "": None,
    '""': "",
    "'5'": "5",
    '"true"': "true",
    "FR7630006000011234567890189": "FR7630006000011234567890189",
    "9" * 40: "9" * 40,
    ".nan": ".nan",
    "=": "=",
}


@pytest.mark.parametrize("text", SCALARS)
def test_a_scalar_means_what_yaml_1_2_says(text: str) -> None:
    """Only decimal numbers, true, false and null are more than text: no Norway, no clock times."""
    value = parse(f"a: {text}", "f").data["a"]
    assert (type(SCALARS[text]), SCALARS[text]) == (type(value), value)


def test_every_part_knows_its_line() -> None:
    """A key's place is the line of the key; an item's the line that it begins on."""
    read = parse("a:\n  - x\n  - b: 1\n    c:\n      5\nd: 2\n", "f")
    expected = {
        (): 1,
        ("a",): 1,
        ("a", 0): 2,
        ("a", 1): 3,
        ("a", 1, "b"): 3,
        ("a", 1, "c"): 4,
        ("d",): 6,
    }
    assert expected == {path: line for path, (_, line) in read.places.items()}


def test_a_part_that_is_not_there_is_placed_at_what_would_hold_it() -> None:
    """A problem with a missing key is reported at the nearest part around it."""
    read = parse("a:\n  b: 1\n", "f")
    assert read.place(("a", "b", "c", 0)) == ("f", 2)


def test_a_value_made_without_a_file_has_no_place() -> None:
    """Defaults that no file holds are placed at line 0 of no file."""
    assert Located({}, {}).place(("a",)) == ("", 0)


def test_an_alias_is_a_value_of_its_own() -> None:
    """What an alias repeats is copied: changing one does not change the other."""
    data = parse("a: &x [1]\nb: *x\n", "f").data
    data["a"].append(2)
    assert data["b"] == [1]


@given(JSON)
def test_json_is_read_as_it_is(value: Any) -> None:
    """JSON is YAML: what is written as JSON is read back the same."""
    assert value == parse(json.dumps(value, ensure_ascii=False), "f").data


@given(JSON)
def test_indented_json_is_read_as_it_is(value: Any) -> None:
    """Line breaks and indentation make no difference to it."""
    assert value == parse(json.dumps(value, ensure_ascii=False, indent=1), "f").data


@given(st.text() | YAML_SIGNS)
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the reader fail in another way than a ScenarioError with a place."""
    try:
        read = parse(text, "f")
    except ScenarioError as error:
        files = {problem.file for problem in error.problems}
    else:
        files = {"f"}
        json.dumps(read.data)
        lines = 1 + sum(map(text.count, LINE_BREAKS))
        assert all(1 <= line <= lines for place, (_, line) in read.places.items() if place)
    assert files == {"f"}


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """What decodes to text is read or refused, whatever control characters it holds."""
    with contextlib.suppress(ScenarioError):
        parse(data.decode("utf-8", "replace"), "f")
