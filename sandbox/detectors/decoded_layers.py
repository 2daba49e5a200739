"""A text and all that can be decoded from it, layer by layer, within bounds."""

from __future__ import annotations

import codecs
import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache

from sandbox.detectors.decoding import binaries, decompress, readable, squeeze, texts

DEPTH = 4
"""Encodings within each other that are undone."""
READ_LIMIT = 128 * 1024
"""Bytes of one text, and of all texts found in it, that are decoded. A plain value is found beyond."""
DECODED = 6
"""Printable signs in a row that :func:`decode_text` shows of a layer."""
LAYERS_LIMIT = 1000
"""Decoded layers of one text that are looked at."""


@dataclass(frozen=True)
class DecodedText:
    """A text and what can be decoded from it."""

    layers: tuple[bytes, ...]
    """The text itself, then every decoded layer: texts and noise alike."""
    complete: bool
    """False where the text was too long or too nested to be decoded to the end."""

    @cached_property
    def alphanumeric(self) -> bytes:
        """Letters and digits of all layers in lower case, a zero byte between layers."""
        return b"\0".join(map(squeeze, self.layers))


@lru_cache(maxsize=8)
def decode_layers(text: str) -> DecodedText:
    """Return what :func:`decode_layers_uncached` does; several monitors ask for the same text."""
    return decode_layers_uncached(text)


def decode_layers_uncached(text: str) -> DecodedText:
    """Return a text with all that can be decoded from it.

    The work is bounded by :data:`READ_LIMIT`, :data:`LAYERS_LIMIT` and :data:`DEPTH`, whatever the
    text; where a bound is reached, the reading says that it is not complete.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    data = text.encode("utf-8", "surrogatepass")
    layers, complete = [data], len(data) <= READ_LIMIT
    pending, left = [(data[:READ_LIMIT], 0)], READ_LIMIT
    seen = {data}
    for source, depth in pending:  # grows while it is walked: breadth first
        if len(layers) > LAYERS_LIMIT or len(source) > left:
            return DecodedText(tuple(layers), complete=False)
        left -= len(source)
        inner: list[bytes] = []
        for text_layer in texts(source):
            layers.append(text_layer)
            inner.append(text_layer)
        for binary in binaries(source):
            layers.append(binary)
            inner += _readable(binary)
            for out in decompress(binary):
                layers.append(out)
                inner += _readable(out)
        fresh = [layer for layer in dict.fromkeys(inner) if layer not in seen]
        seen.update(fresh)
        if depth < DEPTH - 1:
            pending += [(layer, depth + 1) for layer in fresh]
        elif fresh:
            complete = False
    return DecodedText(tuple(layers), complete)


def _readable(binary: bytes) -> list[bytes]:
    """Return the text in a decoded layer, which may itself be encoded; none where it is noise."""
    runs = readable(binary)
    if not runs and binary.count(0) > len(binary) // 4:  # UTF-16
        runs = readable(binary.replace(b"\0", b""))
    return [b" ".join(runs)] if runs else []


def decode_text(text: str) -> str:
    """Return the text followed by all that can be decoded from it, one a line."""
    found = [text, codecs.encode(text, "rot13"), text[::-1]]
    for layer in decode_layers(text).layers[1:]:
        found += [run.decode() for run in readable(layer, DECODED)]
    return "\n".join(found)
