"""Where a CEL expression calls what: a scan of its names and brackets, which the CEL library does not tell.

The library checks the syntax; a scan only has to be right for expressions that it takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

LOOPS = frozenset({"all", "exists", "exists_one", "filter", "map"})
"""CEL's macros that go over a list or a map; their first argument names the item."""
WRITTEN = "[]"
"""Target of a method of a list that stands in the expression itself."""
_TOKEN = re.compile(
    r"""(?P<text>[bB]?[rR][bB]?(?:\"\"\".*?\"\"\"|'''.*?'''|"[^"\n]*"|'[^'\n]*')
       |[bB]?(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
       |(?P<space>//[^\n]*|\s+)
       |(?P<keyword>(?:in|true|false|null)\b)
       |(?P<name>[A-Za-z_]\w*)
       |(?P<number>\d[\w.]*)
       |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_PAIRS = {")": "(", "]": "[", "}": "{"}


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


@dataclass
class Site:
    """A call in an expression."""

    name: str
    """What is called."""
    target: str | None
    """Of a method, what it is called on: ``call.recipients``, :data:`WRITTEN`, or empty for anything else."""
    begin: int
    """Where it begins, its target included if that is a path."""
    at: int
    """Where its name begins."""
    start: int
    """Where its opening bracket stands."""
    outer: Site | None
    """The call in whose brackets it stands."""
    commas: list[int] = field(default_factory=list)
    end: int = -1
    """Where its closing bracket stands."""

    @property
    def is_loop(self) -> bool:
        """Whether it goes over a list or a map."""
        return self.target is not None and self.name in LOOPS

    def arguments(self, source: str) -> list[str]:
        """Return the texts of its arguments."""
        edges = [self.start, *self.commas, self.end]
        texts = [source[a + 1 : b].strip() for a, b in pairwise(edges)]
        return texts if any(texts) else []

    def loops(self) -> Iterator[Site]:
        """Yield the loops in whose brackets it stands, the innermost first."""
        site = self.outer
        while site is not None:
            if site.is_loop:
                yield site
            site = site.outer


def sites(source: str) -> list[Site]:
    """Return the calls in an expression, in the order in which their brackets open."""
    tokens, found = _tokens(source), list[Site]()
    opened: list[tuple[int, Site | None]] = []
    pairs: dict[int, int] = {}
    outer: Site | None = None
    for index, token in enumerate(tokens):
        if token.kind != "sign":
            continue
        if token.text in _PAIRS.values():
            opened.append((index, outer))
            if token.text == "(" and index and tokens[index - 1].kind == "name":
                outer = _site(tokens, index, pairs, outer)
                found.append(outer)
        elif token.text in _PAIRS and opened:
            pairs[index], before = opened.pop()
            if outer is not before and outer is not None:
                outer.end = token.at
            outer = before
        elif token.text == "," and outer and opened and tokens[opened[-1][0]].at == outer.start:
            outer.commas.append(token.at)
    return found


def paths(source: str) -> list[str]:
    """Return the variables in an expression, each with the fields behind it: ``call.args.to``."""
    tokens, found, index = _tokens(source), list[str](), 0
    while index < len(tokens):
        if tokens[index].kind == "name" and not _is(tokens, index - 1, "."):
            end = index + 1
            while _is(tokens, end, ".") and not _is(tokens, end + 2, "("):
                end += 2
            if not _is(tokens, end, "("):
                found.append("".join(token.text for token in tokens[index:end]))
            index = end
        index += 1
    return found


def _tokens(source: str) -> list[_Token]:
    return [
        _Token(str(found.lastgroup), found[0], found.start())
        for found in _TOKEN.finditer(source)
        if found.lastgroup != "space"
    ]


def _is(tokens: list[_Token], index: int, text: str) -> bool:
    return 0 <= index < len(tokens) and tokens[index].text == text


def _site(tokens: list[_Token], index: int, pairs: Mapping[int, int], outer: Site | None) -> Site:
    """Return the call whose bracket opens at a token; its name stands before that."""
    name, first = tokens[index - 1], index - 1
    target: str | None = None
    if _is(tokens, index - 2, "."):
        target = ""
        if index - 3 in pairs and _is(tokens, index - 3, "]"):
            before = tokens[pairs[index - 3] - 1] if pairs[index - 3] else _Token("sign", "", 0)
            indexed = before.kind in ("name", "text") or before.text in _PAIRS
            target = "" if indexed else WRITTEN
        else:
            at = index - 1
            while _is(tokens, at - 1, ".") and at > 1 and tokens[at - 2].kind == "name":
                at -= 2
            if at < index - 1 and not _is(tokens, at - 1, "."):
                target, first = "".join(token.text for token in tokens[at : index - 2]), at
    return Site(name.text, target, tokens[first].at, name.at, tokens[index].at, outer)
