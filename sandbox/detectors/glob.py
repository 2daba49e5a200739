"""Patterns with stars, for addresses, paths and URLs."""

from __future__ import annotations

import re
from functools import lru_cache

_LONGEST_PATH = 8192
"""Characters beyond which a text is no path: the kernel takes 4,096."""


@lru_cache(maxsize=2048)
def _pattern(glob: str) -> tuple[re.Pattern[str], bool]:
    """Return the expression for a pattern, and whether the pattern is one of paths.

    Behind a star, the first place where the fixed text fits is as good as any later one, if a star follows
    that takes what is left over: such a piece is matched once and for all (an atomic group). Else a long
    text of an agent's would be tried at every place for every star.
    """
    is_path = "/" in glob and "://" not in glob
    fixed, *rest = re.split(r"(\*\*/?|\*)", glob)
    any_sign = "[^/]" if is_path else "."
    made = _fixed(fixed, any_sign)
    while rest:
        star, text, *rest = rest
        piece = f"{any_sign if star == '*' else '.'}*"
        if star == "**/":
            made += f"(?:.*/)?{_fixed(text, any_sign)}"
        elif rest and rest[0] != "**/" and (star == "*" or not is_path):
            made += f"(?>{piece}?{_fixed(text, any_sign)})"
        else:
            made += f"{piece}{_fixed(text, any_sign)}"
    return re.compile(made, re.IGNORECASE | re.DOTALL), is_path


def _fixed(text: str, any_sign: str) -> str:
    return any_sign.join(map(re.escape, text.split("?")))


def matches(text: str, glob: str) -> bool:
    """Return whether a whole text fits a pattern, letter case aside.

    ``*`` stands for any text (within one part of a path, where the pattern has parts), ``**`` for
    any number of parts, ``?`` for one sign.
    """
    pattern, is_path = _pattern(glob)
    if is_path and len(text) > _LONGEST_PATH:
        return False
    return pattern.fullmatch(text) is not None
