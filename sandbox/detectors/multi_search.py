"""Finding many values at once in squeezed text, whole or in pieces, in one pass over it.

An index holds every four signs in a row of every value and of its turned forms (rot13, reversed,
both). A text is looked up at every fourth sign, so each piece of at least seven is met once,
wherever it begins. The cost is one look-up for four signs of text, however many values there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sandbox.detectors.decoding import rot13, squeeze

GRAM = 4
PIECE = 2 * GRAM - 1
"""Letters and digits in a row that make a piece; shorter ones are not looked for."""
COMMON = 24
"""Places above which four signs (such as those of a shared domain) tell nothing."""
COMMONPLACE = (b"https", b"example")
"""Parts of values that many texts hold: a value is complete without them."""
WORK_LIMIT = 100_000
"""Signs compared in one search; a text made of pieces ends there."""


@dataclass(frozen=True)
class Needle:
    """A value that is looked for."""

    name: str
    text: bytes
    """Squeezed."""

    @cached_property
    def commonplace(self) -> int:
        """The signs that many texts hold, as bits: the first sign is bit 0."""
        found = 0
        for word in COMMONPLACE:
            at = self.text.find(word)
            if at >= 0:
                found |= ((1 << len(word)) - 1) << at
        return found


@dataclass(frozen=True)
class Piece:
    """A part of a value that stands in a text."""

    needle: int
    start: int
    end: int
    """Where in the value it begins and ends."""


class Needles:
    """Values by name; those shorter than a piece are left to a plain search."""

    def __init__(self, marks: Mapping[str, Sequence[str]]) -> None:
        self.all = tuple(
            Needle(name, squeezed)
            for name, values in marks.items()
            for value in dict.fromkeys(values)
            if len(squeezed := squeeze(value.encode())) >= PIECE
        )
        self._forms: list[tuple[int, bytes, bool]] = []
        self._index: dict[bytes, list[tuple[int, int]]] = {}
        for number, needle in enumerate(self.all):
            for text, reverse in _turned(needle.text):
                self._add(number, text, reverse=reverse)
        plain = {gram for word in COMMONPLACE for text, _ in _turned(word) for gram in _grams(text)}
        self._index = {
            gram: at for gram, at in self._index.items() if len(at) <= COMMON and gram not in plain
        }

    def _add(self, number: int, text: bytes, *, reverse: bool) -> None:
        form = len(self._forms)
        self._forms.append((number, text, reverse))
        for at, gram in enumerate(_grams(text)):
            self._index.setdefault(gram, []).append((form, at))

    def whole(self, data: bytes) -> set[str]:
        """Return the names of values that stand whole in squeezed text, by plain search."""
        return {self.all[number].name for number, text, _ in self._forms if text in data}

    def pieces(self, data: bytes) -> tuple[list[Piece], bool]:
        """Return the pieces in squeezed text, and whether all of it was searched."""
        found: list[Piece] = []
        ends: dict[tuple[int, int], int] = {}
        work = 0
        for at, form, position in self._hits(data):
            line = form, at - position
            if ends.get(line, -1) > at:
                continue
            number, text, reverse = self._forms[form]
            start, end = _extended(data, text, at, position)
            work += end - start
            ends[line] = at - position + end
            if end - start >= PIECE:
                size = len(text)
                place = (size - end, size - start) if reverse else (start, end)
                found.append(Piece(number, *place))
            if work > WORK_LIMIT:
                return found, False
        return found, True

    def _hits(self, data: bytes) -> Iterator[tuple[int, int, int]]:
        get = self._index.get
        for at in range(0, len(data) - GRAM + 1, GRAM):
            entries = get(data[at : at + GRAM])
            if entries is not None:
                for form, position in entries:
                    yield at, form, position


def _grams(text: bytes) -> Iterator[bytes]:
    return (text[at : at + GRAM] for at in range(len(text) - GRAM + 1))


def _turned(text: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield the forms of a value, and whether each runs backwards."""
    for form in (text, rot13(text)):
        yield form, False
        yield form[::-1], True


def _extended(data: bytes, text: bytes, at: int, position: int) -> tuple[int, int]:
    """Return how far data and text agree around a common place, as a part of the text."""
    start, end = position, position + GRAM
    shift = at - position
    while start > 0 and start + shift > 0 and data[start + shift - 1] == text[start - 1]:
        start -= 1
    while end < len(text) and end + shift < len(data) and data[end + shift] == text[end]:
        end += 1
    return start, end
