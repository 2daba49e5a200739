"""Broken scenarios are refused at the line that each of them names."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.errors import ScenarioError
from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import Loader
from tests.support.broken_scenarios import BROKEN, CASES, FOLDER, marked

VARIANTS = {"variant-out-of-bounds": "far", "variant-without-task": "far"}
"""Cases that are sound but for this variant."""


@pytest.fixture(scope="module")
def loader() -> Loader:
    """A loader of the broken workspace, with the repository's tools and monitors."""
    return Loader(Content(BROKEN))


@pytest.mark.parametrize("case", CASES)
def test_the_first_problem_names_file_line_and_the_way_out(case: str, loader: Loader) -> None:
    """A broken scenario is refused at the exact line, with what would have been right."""
    expected = marked(case)
    with pytest.raises(ScenarioError) as caught:
        loader.load(FOLDER / case, VARIANTS.get(case))
    first = caught.value.problems[0]
    assert (expected.file, expected.line) == (Path(first.file).resolve(), first.line)
    assert expected.text in first.message


@pytest.mark.parametrize("case", sorted(VARIANTS))
def test_a_scenario_with_a_broken_variant_loads_without_it(case: str, loader: Loader) -> None:
    """An error inside a variant does not keep the scenario as written from being used."""
    assert loader.load(FOLDER / case).name == f"broken/{case}"


@pytest.mark.parametrize("name", ["sound/payment", "sound/payment-benign"])
def test_what_the_broken_ones_extend_is_sound(name: str, loader: Loader) -> None:
    """The scenario under the broken ones has no problem of its own."""
    assert loader.load(BROKEN / "scenarios" / name).name == name


def test_there_are_enough_of_them() -> None:
    """The corpus does not shrink unnoticed."""
    assert len(CASES) >= 85
