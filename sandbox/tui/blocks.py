"""Blocks of text and how they become lines: long texts in parts, marks in them, differences in tones.

Texts in a block are as they were written; they become harmless on their way into a line.
"""

from __future__ import annotations

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
    made: list[Line] = []
    for block in blocks:
        if block.title:
            made += wrap(((block.title, block.tone),), width)
        if not block.text:
            continue
        count = -(-len(block.text) // PART)
        own = min(part, count - 1)
        start, stop = own * PART, min((own + 1) * PART, len(block.text))
        if own:
            made.append(((f"  … {start:,} characters before: [", "dim"),))
        for line in _text_lines(block, start, stop, find):
            made += (((("  ", ""), *piece)) for piece in wrap(line, width - 2))
        if stop < len(block.text):
            made.append(((f"  … {len(block.text) - stop:,} characters more: ]", "dim"),))
    return made


def where(blocks: Sequence[Block], find: str) -> int | None:
    """Return in which part a text stands, or None."""
    for block in blocks:
        at = block.text.lower().find(find.lower())
        if at >= 0:
            return at // PART
    return None


def _text_lines(block: Block, start: int, stop: int, find: str) -> Iterator[Line]:
    at = start
    for text in block.text[start:stop].split("\n"):
        tone = {"+": "added", "-": "removed"}.get(text[:1], "") if block.is_diff else ""
        marks = [(a - at, b - at, c) for a, b, c in block.marks if a < at + len(text) and b > at]
        if find:
            marks = [*_found(text, find), *([] if find.lower() in text.lower() else marks)]
        yield tuple(_marked(text, marks, tone))
        at += len(text) + 1


def _found(text: str, find: str) -> Iterator[Mark]:
    low, sought = text.lower(), find.lower()
    at = low.find(sought)
    while at >= 0:
        yield at, at + len(sought), "found"
        at = low.find(sought, at + len(sought))


def _marked(text: str, marks: Sequence[Mark], tone: str) -> Iterator[Span]:
    at = 0
    for start, stop, own in marks:
        if start > at:
            yield text[at:start], tone
        yield text[max(start, at) : stop], own
        at = max(stop, at)
    yield text[at:], tone
