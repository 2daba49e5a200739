"""Lines made of pieces with a tone, and what makes the texts in them harmless.

Nothing in the TUI obeys markup: a line is a tuple of (text, tone), and :func:`visible` is applied to
every text on its way to the screen, also where a caller has forgotten it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby

from rich.cells import cell_len

from sandbox.terminal_escape import plain

Span = tuple[str, str]
"""A text and the name of its tone; ``""`` is the normal one."""
Line = tuple[Span, ...]

TAB = 4
_STACK = 3
"""Combining signs on one letter that are left as they are."""
_STACKED = re.compile(r"[^\x00-\u02ff]+")
_WORD = 0.5
"""Part of a line's width behind which it may end at a space."""


def visible(text: str) -> str:
    """Return a text that takes its own cells and no others: no controls, no towers of accents."""
    if text.isascii() and text.isprintable():
        return text
    shown = plain(text).replace("\t", " " * TAB).replace("\n", "⏎")
    return shown if shown.isascii() else _STACKED.sub(lambda match: _flat(match[0]), shown)


def cut(text: str, width: int) -> str:
    """Return the beginning of a text on one line of so many cells."""
    joined = visible(" ".join(text[: width * 4].split()))
    if cell_len(joined) <= width and len(text) <= width * 4:
        return joined
    return crop(joined, width - 1) + "…"


def crop(text: str, width: int) -> str:
    """Return as much of a visible text as fits into so many cells."""
    if text.isascii():
        return text[: max(width, 0)]
    used = 0
    for index, sign in enumerate(text):
        used += cell_len(sign)
        if used > width:
            return text[:index]
    return text


def cells(line: Line) -> int:
    """Return how many cells a line of visible texts takes."""
    return sum(len(text) if text.isascii() else cell_len(text) for text, _ in line)


def fit(line: Line, width: int) -> Line:
    """Return a line of visible texts cut to so many cells."""
    spans, left = [], width
    for text, tone in line:
        spans.append((crop(text, left), tone))
        left -= cells((spans[-1],))
    return tuple(spans)


def wrap(line: Line, width: int) -> Iterator[Line]:
    """Yield a line in pieces of at most so many cells, broken at spaces where there are any."""
    spans = [(visible(text), tone) for text, tone in line]
    text = "".join(piece for piece, _ in spans)
    start = 0
    for stop in _breaks(text, max(width, 8)):
        yield tuple(_slice(spans, start, stop))
        start = stop


def _breaks(text: str, width: int) -> Iterator[int]:
    start = 0
    while len(text) - start > 0:
        end = start + len(crop(text[start : start + width], width))
        if end < len(text):
            space = text.rfind(" ", start + int(width * _WORD), end)
            end = space + 1 if space > 0 else max(end, start + 1)
            while end < len(text) and unicodedata.combining(text[end]):
                end += 1
        yield end
        start = end
    if not text:
        yield 0


def _slice(spans: list[Span], start: int, stop: int) -> Iterator[Span]:
    at = 0
    for text, tone in spans:
        first, last = max(start - at, 0), min(stop - at, len(text))
        if first < last:
            yield text[first:last], tone
        at += len(text)


def _flat(text: str) -> str:
    """Return a text in which no letter carries more than a few combining signs; the rest is counted."""
    groups = ("".join(signs) for _, signs in groupby(text, _is_combining))
    return "".join(
        f"{group[:_STACK]}⟨+{len(group) - _STACK} marks⟩"
        if len(group) > _STACK and _is_combining(group[0])
        else group
        for group in groups
    )


def _is_combining(sign: str) -> bool:
    return bool(unicodedata.combining(sign)) or unicodedata.category(sign) in ("Mn", "Me")
