"""Extensions and variants: the laws of laying one document over another."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sandbox.scenario.merge import overlay
from sandbox.scenario.yaml_positions import Located, parse
from tests.support.workspace import Workspace

LEAVES = st.integers(0, 9) | st.text("xyz", max_size=2) | st.lists(st.integers(0, 9), max_size=2)
NAMES = st.sampled_from("abcd")
MAPS = st.recursive(
    st.dictionaries(NAMES, LEAVES, max_size=4),
    lambda below: st.dictionaries(NAMES, LEAVES | below, max_size=4),
    max_leaves=10,
)
PATCHES = st.recursive(
    st.dictionaries(NAMES, LEAVES | st.none(), max_size=4),
    lambda below: st.dictionaries(NAMES, LEAVES | st.none() | below, max_size=4),
    max_leaves=10,
)
SHAPED = st.recursive(
    st.dictionaries(st.sampled_from("xy"), LEAVES, max_size=2),
    lambda below: st.builds(
        lambda leaves, maps: leaves | maps,
        st.dictionaries(st.sampled_from("xy"), LEAVES, max_size=2),
        st.dictionaries(st.sampled_from("mn"), below, max_size=2),
    ),
    max_leaves=8,
)
"""Maps in which a key always holds a map, or never does."""


def laid(base: Any, upper: Any) -> Any:
    """Return the data of one value laid over another."""
    return overlay(Located(base), Located(upper)).data


@given(MAPS)
def test_an_empty_extension_changes_nothing(base: dict[str, Any]) -> None:
    """What states nothing of its own is what it extends."""
    assert base == laid(base, {})


@given(MAPS)
def test_over_nothing_an_extension_is_itself(upper: dict[str, Any]) -> None:
    """Over an empty document stands what the extension says."""
    assert upper == laid({}, upper)


@given(MAPS, MAPS)
def test_laying_over_twice_is_laying_over_once(base: dict[str, Any], upper: dict[str, Any]) -> None:
    """The result already says what the extension says."""
    once = laid(base, upper)
    assert once == laid(once, upper)


@given(SHAPED, SHAPED, SHAPED)
def test_extensions_of_extensions_can_be_taken_together(
    base: dict[str, Any], middle: dict[str, Any], upper: dict[str, Any]
) -> None:
    """Where nothing is removed and no map replaced, any two may be merged first."""
    assert laid(laid(base, middle), upper) == laid(base, laid(middle, upper))


@given(MAPS, PATCHES)
def test_null_removes_a_key(base: dict[str, Any], upper: dict[str, Any]) -> None:
    """No key that the extension sets to null is left at its top, and no other key is lost."""
    result = laid(base, upper)
    kept = (base.keys() | upper.keys()) - {key for key, value in upper.items() if value is None}
    assert kept == result.keys()


@given(MAPS, PATCHES)
def test_neither_document_is_changed(base: dict[str, Any], upper: dict[str, Any]) -> None:
    """Merging leaves both documents as they were."""
    before = copy.deepcopy((base, upper))
    laid(base, upper)
    assert before == (base, upper)


def test_a_part_keeps_the_place_of_the_file_that_states_it() -> None:
    """After merging, each part is placed in the file that it came from, maps in the upper one."""
    lower = parse("a:\n  x: 1\n  y: [1, 2]\n", "lower")
    merged = overlay(lower, parse("\n\na:\n  y: [3]\n", "upper"))
    assert [merged.place(path) for path in [("a",), ("a", "x"), ("a", "y", 0), ("a", "y", 1)]] == [
        ("upper", 3),
        ("lower", 2),
        ("upper", 4),
        ("upper", 4),
    ]


def test_an_extension_of_an_extension_takes_from_both(workspace: Workspace) -> None:
    """Two levels of extension are merged from the lowest up."""
    workspace.extension("more/first", "limits: { turns: 7, tool_calls: 8 }\n")
    second = "extends: more/first\nid: more/second\ntwin: sound/payment-benign\n"
    workspace.write("more/second/scenario.yaml", second + "limits: { turns: 9 }\n")
    limits = workspace.load("more/second").scenario.limits
    assert (limits.turns, limits.tool_calls) == (9, 8)


def test_a_file_of_the_extended_scenario_is_read_beside_it(workspace: Workspace) -> None:
    """A path that is inherited means the file beside the scenario that names it."""
    workspace.extension("more/first", "world: { bank: bank.yaml }\n")
    workspace.write("more/first/bank.yaml", "balance: 5\n")
    second = "extends: more/first\nid: more/second\ntwin: sound/payment-benign\n"
    workspace.write("more/second/scenario.yaml", second)
    sections = workspace.load("more/second").instance("en", 0).sections()
    assert sections["bank"]["balance"] == 5


def test_a_twin_is_not_inherited(workspace: Workspace) -> None:
    """An extension that names no twin has none."""
    workspace.write("more/first/scenario.yaml", "extends: sound/payment\nid: more/first\n")
    assert "a dangerous scenario names its benign twin" in workspace.problem("more/first").message


def test_variants_are_not_inherited(workspace: Workspace) -> None:
    """A variant belongs to the scenario that states it."""
    workspace.extension("more/first", "variants: { short: { limits: { turns: 1 } } }\n")
    second = "extends: more/first\nid: more/second\ntwin: sound/payment-benign\n"
    workspace.write("more/second/scenario.yaml", second)
    problem = workspace.problem("more/second", "short")
    assert problem.message == "no variant 'short' — there are none"


def test_a_variant_differs_by_what_it_states(workspace: Workspace) -> None:
    """A variant is the scenario with its own part laid over, under a name of its own."""
    workspace.extension("more/first", "variants: { short: { limits: { turns: 1 } } }\n")
    loaded = workspace.load("more/first", "short")
    assert (loaded.name, loaded.scenario.limits.turns) == ("more/first@short", 1)


def test_an_unknown_variant_is_answered_with_the_nearest(workspace: Workspace) -> None:
    """The name of a variant that does not exist leads to the one that was meant."""
    workspace.extension("more/first", "variants:\n  short: { limits: { turns: 1 } }\n")
    problem = workspace.problem("more/first", "shrt")
    assert (problem.line, problem.message) == (4, "no variant 'shrt' — did you mean 'short'?")


def test_variants_that_are_no_map_have_no_names(workspace: Workspace) -> None:
    """Asking for a variant of a malformed list of them is an error, not a crash."""
    workspace.extension("more/first", "variants: 5\n")
    assert "no variant 'far'" in workspace.problem("more/first", "far").message
