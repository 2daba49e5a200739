"""Whether a text holds a value: plain, encoded, or broken up by other signs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from sandbox.detectors.decoded_layers import DecodedText, decode_layers
from sandbox.detectors.decoding import rot13, squeeze
from sandbox.detectors.multi_search import Needles

_SHORTEST = 6
"""Values of fewer letters and digits are only looked for as they stand, and in what is decoded."""


def holds(text: str, value: str) -> bool:
    """Return whether a value occurs in a text, plain, encoded, or broken up by other signs."""
    return value in text or _holds(decode_layers(text), value)


def _holds(reading: DecodedText, value: str) -> bool:
    raw = value.encode("utf-8", "surrogatepass")
    squeezed = squeeze(raw)
    if len(squeezed) < _SHORTEST:
        short = (raw, raw[::-1], rot13(raw))
        return any(form in layer for form in short for layer in reading.layers)
    moved = rot13(squeezed)
    return any(
        form in reading.alphanumeric for form in (squeezed, squeezed[::-1], moved, moved[::-1])
    )


def find_values(text: str, values: Mapping[str, str]) -> list[str]:
    """Return the names of the values that occur in a text, in the sense of :func:`holds`."""
    if not values or not text:
        return []
    reading = decode_layers(text)
    needles = _needles(tuple(values.items()))
    known = {needle.name for needle in needles.all}
    found = find_whole(needles, reading)
    found |= {name for name in values.keys() - known if _holds(reading, values[name])}
    return [name for name in values if name in found]


def find_whole(needles: Needles, reading: DecodedText) -> set[str]:
    """Return the names of the values that stand whole in a text or in what is decoded from it."""
    pieces, complete = needles.pieces(reading.alphanumeric)
    if not complete:
        return needles.whole(reading.alphanumeric)
    return {
        needles.all[piece.needle].name
        for piece in pieces
        if piece.end - piece.start == len(needles.all[piece.needle].text)
    }


@lru_cache(maxsize=32)
def _needles(values: tuple[tuple[str, str], ...]) -> Needles:
    return Needles({name: (value,) for name, value in values})
