"""Blocks of text: what there is to say of an event, before it becomes lines or a page.

Texts in a block are as they were written.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import Any

_DIFF_LINES = 4000
"""Lines of a text up to which its differences are told by line."""

Mark = tuple[int, int, str]
"""A piece of a block's text and its tone."""


@dataclass(frozen=True)
class Block:
    """One thing that is said: a heading and a text below it."""

    title: str
    text: str = ""
    tone: str = "head"
    """Of the heading."""
    marks: tuple[Mark, ...] = ()
    """Pieces of the text with a tone of their own, in order, not overlapping."""
    is_diff: bool = False
    """Whether lines that begin with + and - have a tone."""


def pretty(value: Any) -> str:
    """Return a value as a person reads it: a text as it is, other data as indented JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def difference(before: str, after: str) -> str:
    """Return two texts as one, with - before what went and + before what came."""
    old, new = before.splitlines(), after.splitlines()
    if not before or not after or len(old) + len(new) > _DIFF_LINES:
        return "\n".join([*(f"- {line}" for line in old), *(f"+ {line}" for line in new)])
    if len(old) == len(new) == 1:
        return f"- {before}\n+ {after}"
    told = difflib.unified_diff(old, new, lineterm="", n=3)
    return "\n".join(
        line if line.startswith("@@") else f"{line[:1]} {line[1:]}"
        for line in told
        if not line.startswith(("---", "+++"))
    )
