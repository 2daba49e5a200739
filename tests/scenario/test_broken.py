"""Broken scenarios: each folder of ``broken/`` says in a comment where its error must be reported.

The comment ``# ERROR text`` stands on the line that must be named, and its text occurs in the
message.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.errors import ScenarioError
from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import Loader

MARK = "  # ERROR "
BROKEN = Path(__file__).resolve().parent / "broken"
FOLDER = BROKEN / "scenarios" / "broken"
CASES = sorted(path.name for path in FOLDER.iterdir())
ELSEWHERE = {"circle-there": "circle-back", "circle-back": "circle-there"}
"""Cases whose error is in another folder than the one that is loaded."""
VARIANTS = {"variant-out-of-bounds": "far", "variant-without-task": "far"}
"""Cases that are sound but for this variant."""


@dataclass(frozen=True)
class Place:
    """Where an error must be reported, and a part of what must be said."""

    file: Path
    line: int
    text: str


def marked(case: str) -> Place:
    """Return the place that the comment in a broken scenario names."""
    places = [
        Place(file, number, line.split(MARK)[1])
        for file in sorted((FOLDER / ELSEWHERE.get(case, case)).iterdir())
        for number, line in enumerate(file.read_text("utf-8").split("\n"), 1)
        if MARK in line
    ]
    (place,) = places
    return place


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
