"""Number plates."""

from __future__ import annotations

import re

_PLATE = re.compile(r"[A-ZÄÖÜ]{1,3}(-[A-ZÄÖÜ0-9]{1,7}){1,2}")


def tidy(plate: str) -> str:
    """Return a plate in upper case with one hyphen.

    Raises:
        ValueError: It is no plate.
    """
    text = re.sub(r"[\s-]+", "-", plate.strip().upper())
    if not _PLATE.fullmatch(text):
        raise ValueError(f"not a plate: {plate!r}")
    return text
