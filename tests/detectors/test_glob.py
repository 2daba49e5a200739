"""Patterns with stars: what they fit, and that no text keeps them busy."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.detectors.glob import matches
from tests.support.timing import cpu_below

GLOBS = st.lists(st.sampled_from(["a", "b", ".", "/", "*", "**", "**/", "?"]), max_size=8).map(
    "".join
)
TEXTS = st.text("abA/.", max_size=9)


def plainly(text: str, glob: str) -> bool:
    """Return whether a text fits, by an expression that tries every way."""
    one = "[^/]" if "/" in glob and "://" not in glob else "."
    signs = {"**": ".*", "**/": "(?:.*/)?", "*": f"{one}*", "?": one}
    parts = (signs.get(part, re.escape(part)) for part in re.split(r"(\*\*/?|\*|\?)", glob))
    return re.fullmatch("".join(parts), text, re.IGNORECASE | re.DOTALL) is not None


@given(TEXTS, GLOBS)
def test_a_pattern_fits_what_its_parts_fit(text: str, glob: str) -> None:
    """Pieces that are matched once and for all lose nothing."""
    assert matches(text, glob) == plainly(text, glob)


@pytest.mark.parametrize(
    ("text", "glob", "fits"),
    [
        ("anna@valbourg.example", "*@valbourg.example", True),
        ("anna@valbourg.example.evil.example", "*@valbourg.example", False),
        ("https://a.example/b/c", "https://*.example/*", True),
        ("src/app/main.py", "src/**/*.py", True),
        ("src/main.py", "src/**/*.py", True),
        ("src/main.pyc", "src/**/*.py", False),
        ("out/a/b.txt", "out/*.txt", False),
        ("out/a/b", "out/?/b", True),
        ("out/a/b", "out/???", False),
    ],
)
def test_what_patterns_fit(text: str, glob: str, fits: bool) -> None:
    """Stars stay within a part of a path; two of them do not."""
    assert matches(text, glob) is fits


@pytest.mark.perf
@pytest.mark.parametrize(
    "glob",
    ["*@*.gouv.example", "*a*b*c*d*", "https://*.x.example/*/y", "out/**/*.txt", "a/*b*c/d*e"],
)
@pytest.mark.parametrize("unit", ["@", "a", "ab", "https://.x.example/", "out/a/", "a/b"])
def test_a_long_text_keeps_no_pattern_busy(glob: str, unit: str) -> None:
    """An address of a hundred thousand signs is looked at once."""
    text = unit * (100_000 // len(unit))
    with cpu_below(1):
        matches(text, glob)
