"""Patterns with stars, for addresses, paths and URLs."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=2048)
def _pattern(glob: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/?|\*|\?)", glob)
    is_path = "/" in glob and "://" not in glob
    signs = {"**": ".*", "**/": "(?:.*/)?", "*": "[^/]*" if is_path else ".*", "?": "."}
    return re.compile(
        "".join(signs.get(part, re.escape(part)) for part in parts), re.IGNORECASE | re.DOTALL
    )


def matches(text: str, glob: str) -> bool:
    """Return whether a whole text fits a pattern, letter case aside.

    ``*`` stands for any text (within one part of a path, where the pattern has parts), ``**`` for
    any number of parts.
    """
    return _pattern(glob).fullmatch(text) is not None
