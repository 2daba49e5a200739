"""Texts on their way to the screen: nothing in them acts, nothing takes more room than it says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sandbox.tui.blocks import PART, lines, parts
from sandbox.tui.styled_text import cells, cut, visible, wrap
from sandbox.views.block import Block
from tests.support.traces import NASTY

ANY = st.text(st.characters(codec=None), max_size=200)


@given(ANY)
def test_no_control_reaches_a_line(text: str) -> None:
    """Whatever a text holds, what is drawn is printable and on one line."""
    shown = visible(text)
    assert all(ord(sign) >= 0x20 and not 0x7F <= ord(sign) <= 0x9F for sign in shown)
    assert len(shown.splitlines()) <= 1


@given(ANY)
def test_what_was_made_visible_stays_so(text: str) -> None:
    """A text that passes twice looks as if it had passed once."""
    assert visible(visible(text)) == visible(text)


@given(ANY, st.integers(1, 60))
def test_a_cut_text_fits(text: str, width: int) -> None:
    """A text is never wider than the room that there is."""
    assert cell_len(cut(text, width)) <= width


@given(ANY, st.integers(8, 60))
def test_wrapped_lines_fit_and_lose_nothing(text: str, width: int) -> None:
    """Wrapping breaks a line in pieces that fit and that together say the same."""
    pieces = list(wrap(((text, ""),), width))
    assert "".join(part for piece in pieces for part, _ in piece) == visible(text)
    assert all(cells(piece) <= width for piece in pieces)


def test_towers_of_accents_are_counted() -> None:
    """A letter keeps three combining signs; the others are told by their number."""
    assert visible("z" + "\u0301" * 10) == "z\u0301\u0301\u0301⟨+7 marks⟩"


def test_hidden_tags_show() -> None:
    """Signs that carry a hidden text are named."""
    assert "TAG LATIN CAPITAL LETTER A" in visible(NASTY)


def test_a_long_text_is_shown_in_parts() -> None:
    """Only one part of a long text becomes lines, and it says how much more there is."""
    block = Block("result", "line\n" * 1_000_000)
    assert parts([block]) == -(-5_000_000 // PART)
    made = lines([block], 80, part=1)
    assert len(made) < PART
    assert "characters before" in made[1][0][0]
    assert "characters more" in made[-1][0][0]
