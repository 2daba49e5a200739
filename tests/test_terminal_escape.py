"""Hostile text shows as text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sandbox.terminal_escape import one_line, plain


@given(st.text())
def test_nothing_that_acts_on_a_terminal_is_left(text: str) -> None:
    """No control character but line end and tab survives, whatever the text."""
    left = {sign for sign in plain(text) if ord(sign) < 0x20 or 0x7F <= ord(sign) <= 0x9F}
    assert left <= {"\n", "\t"}


def test_sequences_are_visible() -> None:
    """An escape sequence is shown, not removed: a reader sees that it was there."""
    assert plain("\x1b]52;c;aGk=\x07") == "␛]52;c;aGk=␇"


def test_direction_signs_are_named() -> None:
    """A sign that turns the direction of text is shown by name."""
    assert "RIGHT-TO-LEFT OVERRIDE" in plain("abc\u202edef")


@given(st.text(max_size=500))
def test_one_line_is_one_line(text: str) -> None:
    """The beginning of a text fits on one line of the width asked for."""
    line = one_line(text, 40)
    assert len(line) <= 40
    assert "\n" not in line
