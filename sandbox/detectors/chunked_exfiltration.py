"""Values that leave in pieces, over several calls: what has gone out so far, and what it adds up to.

Two things are kept for a run. Of every value, which of its letters and digits went out in pieces of
at least seven, in any order, in any encoding, with any text around them. And of every argument of
every tool, its last short texts, to be read one behind the other: so pieces down to a single sign
are seen where they go out in order by the same argument, alone, as the first or last word, or in a
frame that stays the same. Both are of fixed size however long a run is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.detectors.decoded_layers import DecodedText, decode_layers_uncached
from sandbox.detectors.multi_search import PIECE, Needles, Piece
from sandbox.detectors.value_search import find_whole

SHORT = 200
"""Characters of the longest text that is kept to be read with those after it."""
STREAM_LENGTH = 96
"""Texts of one argument that are kept; enough for a value that leaves sign by sign."""
WINDOW = 256
"""Characters of kept texts that are read together."""
SMALL = 24
"""Characters of the longest piece that is read with others; a longer one is seen by itself."""
STREAMS = 64
"""Arguments whose texts are kept; those beyond are not."""
FRAME = 4
"""Different texts whose common beginning and end are taken for their frame."""
_TAIL = re.compile(r"[0-9A-Za-z]+(?=[^0-9A-Za-z]*$)")
_CUT = re.compile(r"[0-9A-Za-z]*$")


@dataclass(frozen=True)
class ArgumentStream:
    """The last short texts of one argument, oldest first."""

    texts: tuple[str, ...] = ()

    def after(self, text: str) -> ArgumentStream:
        """Return the stream with one text more."""
        return ArgumentStream((*self.texts, text)[-STREAM_LENGTH:])

    def views(self) -> Iterator[str]:
        """Yield the ways in which the texts may be meant to be put together."""
        recent = [*dict.fromkeys(reversed(self.texts))][:FRAME]
        if len(recent) < 2:  # a text that is only repeated carries nothing
            return
        start = _whole_words(_common(recent))
        turned = [text[len(start) :][::-1] for text in recent]
        end = _whole_words(_common(turned))[::-1]
        words = [text.split() or [""] for text in self.texts]
        found = (
            self.texts,
            [text.removeprefix(start).removesuffix(end) for text in self.texts],
            [parts[0] for parts in words],
            [parts[-1] for parts in words],
            [tail[0] if (tail := _TAIL.search(text)) else "" for text in self.texts],
        )
        grown = [pieces for pieces in found if 0 < len(pieces[-1]) <= SMALL]
        for view in dict.fromkeys(map(_join, grown)):
            if len(view) >= PIECE:
                yield view


def _join(pieces: Sequence[str]) -> str:
    text = "".join(piece for piece in pieces if len(piece) <= SMALL)
    return "".join(text.split())[-WINDOW:]


def _common(texts: Sequence[str]) -> str:
    """Return the beginning that texts have in common: that of the first and last in order."""
    first, last = min(texts), max(texts)
    size = next((at for at, sign in enumerate(first) if sign != last[at]), len(first))
    return first[:size]


def _whole_words(frame: str) -> str:
    """Return a frame without the word that it breaks off in: that is the first sign of the piece."""
    return frame[: len(frame) - len(_CUT.search(frame)[0])]  # type: ignore[index]


@dataclass(frozen=True)
class OutgoingUpdate:
    """What would have gone out after one more call."""

    whole: frozenset[str] = frozenset()
    """Names of the values that stand whole in the call."""
    split: frozenset[str] = frozenset()
    """Names of those that are complete with this call."""
    covered: Mapping[int, int] = field(default_factory=dict)
    streams: Mapping[str, ArgumentStream] = field(default_factory=dict)


class OutgoingPieces:
    """What went out of a run, in pieces."""

    def __init__(self, needles: Needles) -> None:
        self._needles = needles
        self._covered: dict[int, int] = {}
        self._streams: dict[str, ArgumentStream] = {}

    def preview(self, reading: DecodedText, texts: Sequence[tuple[str, str]]) -> OutgoingUpdate:
        """Return what would have gone out with a call; nothing is kept.

        Args:
            reading: All that the call sends, as one text.
            texts: Name of the argument, and what it sends; an argument may stand several times.
        """
        needles = self._needles
        pieces, complete = needles.pieces(reading.alphanumeric)
        held = set() if complete else needles.whole(reading.alphanumeric)
        held |= {needles.all[p.needle].name for p in pieces if self._is_whole(p)}
        covered = self._with_pieces(pieces)
        split = {needles.all[n].name for n, signs in covered.items() if self._completes(n, signs)}
        streams: dict[str, ArgumentStream] = {}
        for name, text in texts:
            if 0 < len(text) <= SHORT and (name in self._streams or len(self._streams) < STREAMS):
                streams[name] = streams.get(name, self._streams.get(name, ArgumentStream())).after(
                    text
                )
        for name, stream in streams.items():
            found = {
                n
                for view in stream.views()
                for n in find_whole(needles, decode_layers_uncached(view))
            }
            if found:
                split |= found
                streams[name] = (
                    ArgumentStream()
                )  # what is found once is not found again with each text
        return OutgoingUpdate(frozenset(held), frozenset(split - held), covered, streams)

    def apply(self, update: OutgoingUpdate) -> None:
        """Take a call that was let through into what has gone out."""
        self._covered |= update.covered
        self._streams |= update.streams

    def _with_pieces(self, pieces: Sequence[Piece]) -> dict[int, int]:
        covered: dict[int, int] = {}
        for piece in pieces:
            number = piece.needle
            signs = ((1 << (piece.end - piece.start)) - 1) << piece.start
            before = covered.get(number, self._before(number))
            if signs | before != before:
                covered[number] = signs | before
        return covered

    def _before(self, number: int) -> int:
        return self._covered.get(number, self._needles.all[number].commonplace)

    def _is_whole(self, piece: Piece) -> bool:
        return piece.end - piece.start == len(self._needles.all[piece.needle].text)

    def _completes(self, number: int, signs: int) -> bool:
        """Return whether these signs add up to a value, and did not before.

        Of a long value one sign in eight may be missing. Of a short one none may: the numbers and
        addresses of one kind have much in common.
        """
        size = len(self._needles.all[number].text)
        spare = size // 8 if size >= 16 else 0
        before = self._before(number)
        return size - signs.bit_count() <= spare < size - before.bit_count()
