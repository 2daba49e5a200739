"""Untrusted text made fit for a prompt: escaped, marked, cut, and unable to leave its frame.

The signs of the frame (its brackets, the mark in place of spaces) are escaped wherever they occur
in data, and the data hold no plain space. So whatever a text says, it cannot hold a delimiter, not
even one whose random part its author knew, and it never looks like a sentence of the instructions.

Spotlighting by delimiting and data marking: Hines et al. 2024, https://arxiv.org/abs/2403.14720.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Any

OPEN, CLOSE = "⟦", "⟧"
"""Brackets of delimiters."""
MARKS = "▁¦‡¬ˍ§"
"""Signs of which one stands for every space of the data; drawn anew for each prompt."""
_RESERVED = frozenset(OPEN + CLOSE + MARKS)
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
"""Categories of signs that show nothing, or that change how others are shown."""
_FILLERS = frozenset(
    chr(code)
    for first, last in (
        (0x034F, 0x034F),
        (0x115F, 0x1160),
        (0x17B4, 0x17B5),
        (0x180B, 0x180F),
        (0x2800, 0x2800),
        (0x3164, 0x3164),
        (0xFE00, 0xFE0F),
        (0xFFA0, 0xFFA0),
        (0xE0100, 0xE01EF),
    )
    for code in range(first, last + 1)
)
"""Letters and marks that show nothing: Unicode's Default_Ignorable_Code_Point, and blank Braille."""
_NESTED = 100
"""Levels of data; of deeper ones nothing is shown."""
_KNOWN = 10_000
"""Signs whose writing is remembered."""


def line(value: Any, mark: str) -> str:
    """Return JSON data as one line without spaces, lossless, with every unseen sign escaped.

    Args:
        value: JSON data.
        mark: The sign that stands for a space.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _escape(text).replace(" ", mark)


def _escape(text: str) -> str:
    return text if text.isascii() and text.isprintable() else text.translate(_ESCAPES)


class _Escapes(dict[int, str]):
    """Code of a sign → how it is written; filled as signs come, and never large."""

    def __missing__(self, code: int) -> str:
        if len(self) >= _KNOWN:
            self.clear()
        self[code] = _escape_character(chr(code))
        return self[code]


_ESCAPES = _Escapes()


def _escape_character(sign: str) -> str:
    unseen = unicodedata.category(sign) in _UNSEEN and sign != " "
    if not (unseen or sign in _RESERVED or sign in _FILLERS):
        return sign
    code = ord(sign)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000  # as JSON writes it: a pair of surrogates
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def truncate(text: str, most: int) -> Any:
    """Return a text, or its two ends around the number of signs that are left out.

    The number stands outside of any text, so that a text cannot imitate it. Texts whose signs are
    mostly escaped are kept shorter: nothing takes more than about twice its share of a prompt.
    """
    kept = _ends(text, most)
    written = sum(len(_escape(part)) for part in kept)
    if written > 2 * most:
        kept = _ends(text, max(20, most * 2 * most // written))
    if len(kept) == 1:
        return text
    return [kept[0], {"left_out_signs": len(text) - sum(map(len, kept))}, kept[1]]


def _ends(text: str, most: int) -> tuple[str, ...]:
    if len(text) <= most:
        return (text,)
    tail = most // 3
    return text[: most - tail], text[-tail:]


def shorten(value: Any, most: int) -> Any:
    """Return JSON data with their keys in order where they are short, else as JSON text that is cut.

    A model may write an object's keys in any order, a stored trace does not keep it: the same call
    must read the same in both.
    """
    if isinstance(value, str):
        return truncate(value, most)
    if _is_deeper(value, _NESTED):
        return {"left_out": f"data nested deeper than {_NESTED} levels"}
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return _sort_keys(value) if len(text) <= most else {"json": truncate(text, most)}


def _sort_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sort_keys(value[key]) for key in sorted(value)}
    return [_sort_keys(item) for item in value] if isinstance(value, (list, tuple)) else value


def _is_deeper(value: Any, levels: int) -> bool:
    level = [value]
    for _ in range(levels):
        level = [
            item
            for outer in level
            if isinstance(outer, (dict, list, tuple))
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True
