"""Untrusted text in a prompt: it cannot leave its frame, and nothing in it is unseen."""

from __future__ import annotations

import re
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.monitors.judges import datamarking
from sandbox.monitors.judges.datamarking import CLOSE, MARKS, OPEN, line, shorten, truncate
from tests.support.judges import parse_line
from tests.support.strategies import TEXT

UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(DATA, st.sampled_from(MARKS))
def test_nothing_is_lost(data: Any, mark: str) -> None:
    """A line of data gives the data back."""
    assert parse_line(line(data, mark), mark) == data


@given(DATA, st.sampled_from(MARKS))
def test_signs_of_the_frame_never_stand_in_data(data: Any, mark: str) -> None:
    """Whatever data hold, their line has no bracket of a delimiter, no space and no second line."""
    written = line(data, mark)
    assert not set(written) & {OPEN, CLOSE, " ", "\n", "\r", *(set(MARKS) - {mark})}


@given(TEXT, st.sampled_from(MARKS))
def test_every_sign_can_be_seen(text: str, mark: str) -> None:
    """No control, format, private or unassigned sign and no odd space is left as it is."""
    assert not {unicodedata.category(sign) for sign in line(text, mark)} & UNSEEN


@pytest.mark.parametrize(
    "sign",
    [
        "\u200b",
        "\u202e",
        "\u2066",
        "\ufeff",
        "\u00ad",
        "\x1b",
        "\x00",
        "\U000e0041",
        "\ufe0f",
        "\u3164",
        "\u2028",
        "\u00a0",
        "\ud800",
        "\u034f",
        "\u2800",
        "\U000e0100",
    ],
)
def test_tricks_are_escaped(sign: str) -> None:
    """Zero-width, bidirectional, tag, filler and control signs stand as escapes."""
    written = line(f"a{sign}b", "▁")
    assert sign not in written
    assert re.fullmatch(r'"a(\\u[0-9a-f]{4}){1,2}b"', written)


def test_all_of_unicode() -> None:
    """No sign that shows nothing is left as it is, and the table that knows them stays small."""
    unseen = [chr(code) for code in range(sys.maxunicode + 1) if code != 32]
    unseen = [sign for sign in unseen if unicodedata.category(sign) in UNSEEN]
    text = ".".join(unseen)  # two halves of a sign that stand side by side would be one
    written = line(text, "▁")
    assert written.isascii()
    assert (parse_line(written, "▁") == text) is True  # a difference could not be printed
    assert len(datamarking._ESCAPES) <= 10_000


def test_letters_of_languages_stay_readable() -> None:
    """Accents, other scripts and emoji stand as they are."""
    text = "Réglée à Zürich, Ελλάς, 日本 🙂"
    assert line(text, "▁") == f'"{text.replace(" ", "▁")}"'


@given(TEXT, st.integers(50, 500))
def test_a_short_text_is_whole_and_a_long_one_keeps_its_ends(text: str, most: int) -> None:
    """What is left out is counted, and what is shown are the text's own ends."""
    shown = truncate(text, most)
    if isinstance(shown, str):
        assert shown == text
        return
    head, gap, tail = shown
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + gap["left_out_signs"] + len(tail) == len(text)


@given(TEXT.filter(bool), st.integers(100, 1000))
def test_escapes_take_no_more_than_their_share(text: str, most: int) -> None:
    """A text of signs that are all escaped does not push the rest out of the prompt."""
    assert len(line(truncate(text * 200, most), "▁")) < 13 * most


def test_deep_and_long_data_are_bounded() -> None:
    """Data that are nested too deep, or too long, are shown as far as they can be."""
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    assert "nested" in shorten(deep, 1000)["left_out"]
    assert len(line(shorten({"rows": list(range(100_000))}, 1000), "▁")) < 2000
