"""How long a condition may take: what it goes over and searches is the agent's, and may be made to last."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LIGHT_MICROSECONDS = 200_000
"""A condition that may take longer is not evaluated in the host's process."""
_ROUND_MICROSECONDS = 2.0
_COPIED_MICROSECONDS = 0.9
_SEARCHED_MICROSECONDS = 0.002
_DECODED_MICROSECONDS = 1.0
"""Measured for one round of a loop over effects, one effect in a list that ``filter`` makes, at each addition;
and for a character that is searched, or decoded and searched."""

MACRO = re.compile(
    r"""[rR](?:"[^"\n]*"|'[^'\n]*')|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
    r"|(?P<path>[A-Za-z_][\w.]*)?\s*\.\s*(?P<loop>all|exists|exists_one|filter|map)\s*\(|(?P<open>\()|(?P<close>\))"
)
"""A text, CEL's macros that go over a list or a map, and parentheses."""
WRITTEN = "[]"
_WRITTEN_ITEMS = 10
"""Of a list that stands in a condition."""
_BOUND = re.compile(r"\s*([A-Za-z_]\w*)\s*,")
_SEARCHES = re.compile(
    r"\b(?:contains|matches|holds|decoded|glob|lower|asked|startsWith|endsWith)\s*\("
)
_DECODES = re.compile(r"\b(?:holds|decoded)\s*\(")


@dataclass(frozen=True)
class Loop:
    """A macro that goes over a list or a map."""

    path: str
    """Such as ``call.recipients``; :data:`WRITTEN` for a list in the condition itself; else empty."""
    name: str
    """What each item is called inside."""
    collects: bool
    """Whether it makes a list: the evaluator copies all of it at each addition."""


def loops(source: str) -> tuple[tuple[Loop, ...], ...]:
    """Return the macros of a condition: each one, behind all those around it."""
    stack: list[Loop | None] = []
    found: list[tuple[Loop, ...]] = []
    for token in MACRO.finditer(source):
        if token["loop"]:
            bound = _BOUND.match(source, token.end())
            collects = token["loop"] in ("filter", "map")
            written = not token["path"] and source[: token.start()].rstrip().endswith("]")
            path = WRITTEN if written else token["path"] or ""
            stack.append(Loop(path, bound[1] if bound else "", collects))
            found.append(tuple(item for item in stack if item is not None))
        elif token["open"]:
            stack.append(None)
        elif token["close"] and stack:
            stack.pop()
    return tuple(found)


def searched(source: str) -> float:
    """Return the microseconds that a condition takes for each character that it searches; 0 if none."""
    if not _SEARCHES.search(source):
        return 0.0
    return _DECODED_MICROSECONDS if _DECODES.search(source) else _SEARCHED_MICROSECONDS


def may_last(chains: Sequence[Sequence[Loop]], search: float) -> bool:
    """Return whether a condition may take long at all: it has loops, or decodes; see :func:`microseconds`."""
    return bool(chains) or search >= _DECODED_MICROSECONDS


def microseconds(
    chains: Sequence[Sequence[Loop]], search: float, variables: Mapping[str, Any]
) -> float:
    """Return about how long a condition takes at most.

    A loop over a list of each item of the loop around it (``m.to`` in one over messages) has as many rounds
    as there are such items in all; one over something else has all of its rounds each time. Each round may
    search its own item and those of the loops around it.

    Args:
        chains: Its macros; see :func:`loops`.
        search: See :func:`searched`.
        variables: Those that it reads.
    """
    load = _Load(variables)
    spent = _ROUND_MICROSECONDS + search * load.longest("")
    for chain in chains:
        before, rounds, chars, parent = 1.0, 1.0, 0.0, ""
        for loop in chain:
            first, _, rest = loop.path.partition(".")
            if loop.path == WRITTEN:
                items, text, most, times = _WRITTEN_ITEMS, 0, _WRITTEN_ITEMS, rounds
            elif first in variables or not rest:
                items, text = load.of(loop.path)
                most, times = items, rounds
            else:
                items, text, most = load.under(loop.path.rpartition(".")[2])
                times = before if first == parent else rounds
                items = items if first == parent else most
            before, rounds, parent = rounds, max(1.0, times * items), loop.name
            chars = times * text + most * chars
            spent += rounds * most * _COPIED_MICROSECONDS if loop.collects else 0.0
        beside = load.longest(chain[0].path.partition(".")[0])
        spent += rounds * (_ROUND_MICROSECONDS + search * beside) + chars * search
    return spent


class _Load:
    """How many items and characters the values of variables hold, in all and under each key."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables = variables
        self._keys: dict[str, tuple[int, int, int]] = {}
        self._whole: dict[str, tuple[int, int]] = {}
        self._longest: dict[str, int] = {}
        for name, value in variables.items():
            self._weigh(name, value)

    def of(self, path: str) -> tuple[int, int]:
        """Return what a list holds that is found by its path: items and characters.

        Where nothing has this path, it is taken to be the longest list, and to hold all the text.
        """
        first, *keys = path.split(".")
        node = self._variables.get(first)
        for key in keys:
            node = node.get(key) if isinstance(node, Mapping) else None
        if isinstance(node, Mapping | list | tuple):
            return len(node), sum(map(len, _texts(node)))
        if first in self._variables:
            return 0, 0
        most = max((most for most, _ in self._whole.values()), default=0)
        return most, sum(text for _, text in self._whole.values())

    def under(self, key: str) -> tuple[int, int, int]:
        """Return what all lists hold that stand under a key: items, characters, items of the longest."""
        return self._keys.get(key, (0, 0, 0))

    def longest(self, besides: str) -> int:
        """Return the characters of the longest text in a variable other than one."""
        return max((n for name, n in self._longest.items() if name != besides), default=0)

    def _weigh(self, name: str, value: Any) -> None:
        """Count; without recursion, since an agent nests as deep as it likes."""
        text, most, longest = 0, 0, 0
        waiting = [value]
        while waiting:
            node = waiting.pop()
            if isinstance(node, str):
                text += len(node)
                longest = max(longest, len(node))
            elif isinstance(node, Mapping):
                most = max(most, len(node))
                for key, item in node.items():
                    waiting.append(item)
                    if isinstance(item, Mapping | list | tuple):
                        self._add(str(key), item)
            elif isinstance(node, list | tuple):
                most = max(most, len(node))
                waiting += node
        self._whole[name] = most, text
        self._longest[name] = longest

    def _add(self, key: str, value: Any) -> None:
        items, text, most = self._keys.get(key, (0, 0, 0))
        inside = sum(len(leaf) for leaf in value if isinstance(leaf, str))
        self._keys[key] = items + len(value), text + inside, max(most, len(value))


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, Mapping):
            waiting += node.values()
        elif isinstance(node, list | tuple):
            waiting += node
