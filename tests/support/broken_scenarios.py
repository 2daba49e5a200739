"""Broken scenarios: each folder of ``tests/scenario/broken`` says in a comment where its error must be reported.

The comment ``# ERROR text`` stands on the line that must be named, and its text occurs in the message.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.support import REPOSITORY

MARK = "  # ERROR "
BROKEN = REPOSITORY / "tests" / "scenario" / "broken"
FOLDER = BROKEN / "scenarios" / "broken"
CASES = sorted(path.name for path in FOLDER.iterdir())
ELSEWHERE = {"circle-there": "circle-back", "circle-back": "circle-there"}
"""Cases whose error is in another folder than the one that is loaded."""


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
