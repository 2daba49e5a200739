"""Words of a text in the one form in which they are compared: folded, without disguises."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_HOMOGLYPHS = str.maketrans(
    {
        "а": "a",
        "α": "a",
        "с": "c",
        "ϲ": "c",
        "ԁ": "d",
        "е": "e",
        "ε": "e",
        "һ": "h",
        "і": "i",
        "ι": "i",
        "ј": "j",
        "ϳ": "j",
        "κ": "k",
        "к": "k",
        "ӏ": "l",
        "м": "m",
        "п": "n",
        "о": "o",
        "ο": "o",
        "σ": "o",
        "р": "p",
        "ρ": "p",
        "ѕ": "s",
        "т": "t",
        "τ": "t",
        "υ": "u",
        "ν": "v",
        "ѵ": "v",
        "ԝ": "w",
        "х": "x",
        "χ": "x",
        "у": "y",
        "γ": "y",
        "в": "b",
        "β": "b",
        "н": "h",
    }
)
"""Letters of Cyrillic and Greek that look like Latin ones (Unicode TR 39, the frequent ones)."""
_INVISIBLE = dict.fromkeys(
    [
        0xAD,
        0x34F,
        0x61C,
        0x180E,
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFE00, 0xFE10),
        0xFEFF,
        *range(0xE0000, 0xE0080),
    ]
)
"""Signs that show nothing: they break up a word for a search, not for a reader."""
_WORD = re.compile(r"[^\W_]+")
_ENDINGS = ("ations", "ation", "ings", "ing", "ies", "ied", "ers", "er", "ez", "ed", "es", "s")


def fold(text: str) -> str:
    """Return a text in lower case, compatibility forms and lookalike letters undone.

    Lookalikes are only undone in words that mix them with Latin letters, so Russian stays Russian.
    """
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", text).translate(_INVISIBLE).casefold()
    if not _GREEK_OR_CYRILLIC.search(folded):
        return folded
    return re.sub(r"\w+", _unmasked, folded)


def _unmasked(found: re.Match[str]) -> str:
    word = found[0]
    mixed = _GREEK_OR_CYRILLIC.search(word) and _LATIN.search(word)
    return word.translate(_HOMOGLYPHS) if mixed else word


_LATIN, _GREEK_OR_CYRILLIC = re.compile(r"[a-z0-9]"), re.compile(r"[\u0370-\u052f]")


def words(text: str) -> list[str]:
    """Return the words of a text in order: runs of letters and digits, folded."""
    return _WORD.findall(fold(text))


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return a word without the commonest English and French endings: crude, and the same both ways."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
