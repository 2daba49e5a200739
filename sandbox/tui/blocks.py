"""Blocks of text and how they become lines: long texts in parts, marks in them, differences in tones.

Texts in a block are as they were written; they become harmless on their way into a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sandbox.tui.styled_text import Line, Span, wrap
from sandbox.views.block import Block, Mark

PART = 16_384
"""Characters of one text that are shown at once."""


def parts(blocks: Sequence[Block]) -> int:
    """Return in how many parts the longest text of the blocks is shown."""
    return max((-(-len(block.text) // PART) for block in blocks), default=1) or 1


def lines(blocks: Sequence[Block], width: int, part: int = 0, find: str = "") -> list[Line]:
    """Return blocks as lines of at most so many cells.

    Args:
        blocks: What is to be said.
        width: Cells of a line.
        part: Which part of long texts; of a shorter one its last.
        find: A text that is marked wherever it stands.
    """
    wrapped: list[Line] = []
    for block in blocks:
        if block.title:
            wrapped += wrap(((block.title, block.tone),), width)
        if not block.text:
            continue
        count = -(-len(block.text) // PART)
        own = min(part, count - 1)
        start, stop = own * PART, min((own + 1) * PART, len(block.text))
        if own:
            wrapped.append(((f"  … {start:,} characters before: [", "dim"),))
        for line in _text_lines(block, start, stop, find):
            wrapped += (((("  ", ""), *piece)) for piece in wrap(line, width - 2))
        if stop < len(block.text):
            wrapped.append(((f"  … {len(block.text) - stop:,} characters more: ]", "dim"),))
    return wrapped


def where(blocks: Sequence[Block], find: str) -> int | None:
    """Return in which part a text stands, or None."""
    places = (block.text.lower().find(find.lower()) for block in blocks)
    return next((at // PART for at in places if at >= 0), None)


def _text_lines(block: Block, start: int, stop: int, find: str) -> Iterator[Line]:
    at = start
    for text in block.text[start:stop].split("\n"):
        tone = {"+": "added", "-": "removed"}.get(text[:1], "") if block.is_diff else ""
        marks = [(a - at, b - at, c) for a, b, c in block.marks if a < at + len(text) and b > at]
        if find:
            marks = [*_matches(text, find), *([] if find.lower() in text.lower() else marks)]
        yield tuple(_spans(text, marks, tone))
        at += len(text) + 1


def _matches(text: str, find: str) -> Iterator[Mark]:
    for match in re.finditer(re.escape(find.lower()), text.lower()):
        yield match.start(), match.end(), "found"


def _spans(text: str, marks: Sequence[Mark], tone: str) -> Iterator[Span]:
    at = 0
    for start, stop, own in marks:
        if start > at:
            yield text[at:start], tone
        yield text[max(start, at) : stop], own
        at = max(stop, at)
    yield text[at:], tone
