"""Text from agents and worlds, made harmless for a terminal.

Escape sequences, control and direction signs become visible; nothing is removed, so that a reader
sees what was there. Used for every text that an agent, a model or a scenario could have written.
"""

from __future__ import annotations

import re
import unicodedata

_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e0fff]"  # the last: tags and selectors, which carry whole hidden texts
)
_PICTURES = 0x2400  # U+2400 … U+2420 picture the control characters U+0000 … U+0020


def plain(text: str) -> str:
    """Return a text that can be printed: line ends and tabs stay, all other controls show."""
    return _HARMFUL.sub(_visible, text)


def one_line(text: str, width: int = 100) -> str:
    """Return the beginning of a text on one line."""
    joined = " ".join(plain(text).split())
    return joined if len(joined) <= width else joined[: width - 1] + "…"


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(_PICTURES + code)
    if code == 0x7F:
        return "\u2421"
    name = unicodedata.name(match[0], "")
    return f"⟨U+{code:04X}{' ' + name if name and code > 0xFF else ''}⟩"
