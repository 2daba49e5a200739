"""Where a CEL expression calls what: a scan of its names and brackets, which the CEL library does not tell.

The library checks the syntax; a scan only has to be right for expressions that it takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

LOOPS = frozenset({"all", "exists", "exists_one", "filter", "map"})
"""CEL's macros that go over a list or a map; their first argument names the item."""
WRITTEN = "[]"
"""Target of a method of a list that stands in the expression itself."""
_UNREAD = re.compile(
    r"""(?P<text>[bB]?[rR][bB]?(?:\"\"\".*?\"\"\"|'''.*?'''|"[^"\n]*"|'[^'\n]*')
       |[bB]?(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
       |//[^\n]*""",
    re.VERBOSE | re.DOTALL,
)
_NAME = r"(?!(?:in|true|false|null)\b)[A-Za-z_]\w*+"
_TOKEN = re.compile(
    rf"""(?P<path>{_NAME}(?:\s*\.\s*{_NAME})*+)(?:\s*(?P<call>\())?
        |(?P<value>"+|\d\w*)|(?P<open>[(\[{{])|(?P<close>[)\]}}])|(?P<comma>,)|(?P<dot>\.)|\w+|\S""",
    re.VERBOSE,
)


@dataclass
class CallSite:
    """A call in an expression, or a bracket without a name."""

    name: str
    """What is called; empty for a bracket."""
    target: str | None
    """Of a method, what it is called on: ``call.recipients``, :data:`WRITTEN`, or empty for anything else; of a list
    without a name, :data:`WRITTEN`."""
    begin: int
    """Where it begins, its target included if that is a path."""
    at: int
    """Where its name begins."""
    edges: list[int]
    """Where its opening bracket, its commas and its closing bracket stand."""
    outer: CallSite | None
    """In whose brackets it stands."""
    arguments: list[str] = field(default_factory=list)
    """The texts of its arguments."""

    @property
    def is_loop(self) -> bool:
        """Whether it goes over a list or a map."""
        return self.target is not None and self.name in LOOPS

    def loops(self) -> Iterator[CallSite]:
        """Yield the loops in whose brackets it stands, the innermost first."""
        site = self.outer
        while site is not None:
            if site.is_loop:
                yield site
            site = site.outer


def sites(source: str) -> list[CallSite]:
    """Return the calls and brackets in an expression, in the order in which they open."""
    found, before, listed = list[CallSite](), "", False
    outer: CallSite | None = None
    for token in _tokens(source):
        kind = token.lastgroup or ""
        if kind in ("call", "open"):
            site = _site(token, before, WRITTEN if listed else "", outer)
            found.append(site)
            outer = site
        elif kind in ("comma", "close") and outer:
            outer.edges.append(token.start())
        if kind == "close" and outer:
            texts = [source[a + 1 : b].strip() for a, b in pairwise(outer.edges)]
            outer.arguments = texts if any(texts) else []
            listed, outer = outer.target == WRITTEN and not outer.name, outer.outer
        elif kind != "dot":
            listed = False
        before = kind
    return found


def _site(token: re.Match[str], before: str, left: str, outer: CallSite | None) -> CallSite:
    """Return what opens at a token, behind a token of one kind; left of its dot stands a list or anything else."""
    if token["open"]:
        is_list = token["open"] == "[" and before not in ("path", "value", "close")
        target = WRITTEN if is_list else ""
        return CallSite("", target, token.start(), token.start(), [token.start()], outer)
    *names, name = re.split(r"\s*\.\s*", token["path"])
    at, edges = token.end("path") - len(name), [token.end() - 1]
    if before == "dot":
        return CallSite(name, "" if names else left, at, at, edges, outer)
    return CallSite(name, ".".join(names) or None, token.start(), at, edges, outer)


def paths(source: str) -> list[str]:
    """Return the variables in an expression, each with the fields behind it: ``call.args.to``."""
    found, before = list[str](), ""
    for token in _tokens(source):
        if token["path"] and before != "dot":
            names = re.split(r"\s*\.\s*", token["path"])
            found.append(".".join(names[: -1 if token["call"] else None]))
        before = token.lastgroup or ""
    return [path for path in found if path]


def _tokens(source: str) -> Iterator[re.Match[str]]:
    """Yield the tokens of an expression; of texts and comments only their length is left."""
    plain = _UNREAD.sub(lambda m: ('"' if m["text"] else " ") * len(m[0]), source)
    return _TOKEN.finditer(plain)
