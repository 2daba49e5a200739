"""Measures of agreement, against published examples and against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.analysis.agreement import (
    Unit,
    agreement,
    cohen,
    counts,
    fleiss,
    krippendorff,
    pair,
    raw,
)

OBSERVERS = {
    "A": "1 2 3 3 2 1 4 1 2 . . .",
    "B": "1 2 3 3 2 2 4 1 2 5 . 3",
    "C": ". 3 3 3 2 3 4 2 2 5 1 .",
    "D": "1 2 3 3 2 4 4 1 2 5 1 .",
}
"""Krippendorff (2011), section C: four observers, twelve units, values missing."""


def units_of(rows: dict[str, str], clusters: int = 100) -> list[Unit]:
    """Return units from a row of values for each rater; a dot is a missing one."""
    columns = zip(*(row.split() for row in rows.values()), strict=True)
    return [
        Unit(
            f"u{index}",
            f"c{index % clusters}",
            {rater: v for rater, v in zip(rows, values, strict=True) if v != "."},
        )
        for index, values in enumerate(columns)
    ]


def test_krippendorff_published_example() -> None:
    """The published nominal α, with missing values: 0.743."""
    assert krippendorff(counts(units_of(OBSERVERS))) == pytest.approx(0.743, abs=0.0005)


def test_krippendorff_two_observers() -> None:
    """The published example of two observers and binary data, section A: 0.095."""
    rows = {"Jon": "0 1 0 0 0 0 0 0 1 0", "Han": "1 1 1 0 0 1 0 0 0 0"}
    assert krippendorff(counts(units_of(rows))) == pytest.approx(0.095, abs=0.0005)


def test_fleiss_published_example() -> None:
    """Fourteen raters, ten subjects, five categories (Fleiss' method, a textbook example): 0.210."""
    table = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    assert fleiss(np.array(table)) == pytest.approx(0.210, abs=0.0005)
    assert raw(np.array(table)) == pytest.approx(0.378, abs=0.0005)


def test_cohen_published_example() -> None:
    """Fleiss, Cohen and Everitt, Psychological Bulletin 72 (1969), 323-327: 0.429."""
    table = np.array([[53, 5, 2], [11, 14, 5], [1, 6, 3]])
    assert cohen(table) == pytest.approx(0.429, abs=0.0005)


VALUES = st.sampled_from(["attempted", "resisted", "success"])
RATED = st.lists(
    st.dictionaries(st.sampled_from(["ada", "bo", "cy"]), VALUES, max_size=3), max_size=25
)


def rated(ratings: list[dict[str, str]]) -> list[Unit]:
    """Return units of five scenarios."""
    return [Unit(f"u{i}", f"s{i % 5}", found) for i, found in enumerate(ratings)]


@given(RATED)
def test_alpha_is_its_definition(ratings: list[dict[str, str]]) -> None:
    """α from counts is α from all pairs of values, written out."""
    paired = [list(r.values()) for r in ratings if len(r) > 1]
    values = [value for unit in paired for value in unit]
    observed = sum(
        (a != b) / (len(unit) - 1)
        for unit in paired
        for i, a in enumerate(unit)
        for j, b in enumerate(unit)
        if i != j
    )
    expected = sum(a != b for i, a in enumerate(values) for j, b in enumerate(values) if i != j)
    found = krippendorff(counts(rated(ratings)))
    if not values or not expected:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(1 - observed * (len(values) - 1) / expected)


@settings(max_examples=25, deadline=None)
@given(RATED)
def test_figures_are_sound_whatever_is_labelled(ratings: list[dict[str, str]]) -> None:
    """Every measure is None or at most 1, lies in its interval's order, and names do not matter."""
    found = agreement(rated(ratings), resamples=20)
    renamed = [{f"x{who}": value for who, value in r.items()} for r in ratings]
    other = agreement(rated(renamed), resamples=20)
    assert (found.raw, found.fleiss, found.krippendorff) == (
        other.raw,
        other.fleiss,
        other.krippendorff,
    )
    for item in (found.raw, found.fleiss, found.krippendorff, *(p.cohen for p in found.pairs)):
        assert item.value is None or -1.0001 <= item.value <= 1.0001
        assert item.low is None or (item.high is not None and item.low <= item.high)


def test_full_agreement_and_none_beyond_chance() -> None:
    """All alike gives 1; one category for everything leaves nothing to measure beyond raw agreement."""
    alike = {"a": "x y x y x y", "b": "x y x y x y", "c": "x y x y x y"}
    found = agreement(units_of(alike, clusters=3), resamples=50)
    assert (found.raw.value, found.fleiss.value, found.krippendorff.value) == (1.0, 1.0, 1.0)
    assert [p.cohen.value for p in found.pairs] == [1.0, 1.0, 1.0]
    same = agreement(units_of({"a": "x x x x", "b": "x x x x"}), resamples=50)
    assert (same.raw.value, same.fleiss.value, same.krippendorff.value) == (1.0, None, None)
    assert same.pairs[0].cohen.value is None


def test_intervals_are_wider_where_scenarios_differ() -> None:
    """Drawn by scenario, twenty runs of two scenarios tell less than twenty scenarios."""
    rows = {"a": "x " * 10 + "y x " * 5, "b": "x " * 10 + "x y " * 5}
    few = [Unit(u.run, f"s{i // 10}", u.ratings) for i, u in enumerate(units_of(rows))]
    widths = []
    for units in (few, units_of(rows)):
        found = agreement(units, resamples=300).raw
        assert found.low is not None
        assert found.high is not None
        widths.append(found.high - found.low)
    assert widths[0] > widths[1]


def test_one_scenario_gives_no_interval() -> None:
    """How scenarios differ cannot be told from one."""
    found = pair(units_of({"a": "x y x", "b": "x x x"}, clusters=1), "a", "b")
    assert found.raw.value == pytest.approx(2 / 3)
    assert found.raw.pair is None
