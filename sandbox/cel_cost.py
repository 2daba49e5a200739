"""How long a condition may take: what it goes over and searches is the agent's, and may be made to last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, NamedTuple

from sandbox.cel_scan import WRITTEN, CallSite, paths

Variables = Mapping[str, object]
"""Name → value, those that a condition reads."""
LIGHT_MICROSECONDS = 200_000
"""A condition that may take longer is not evaluated in the host's process."""
_ROUND_MICROSECONDS = 2.0
_COPIED_MICROSECONDS = 0.9
_SEARCHED_MICROSECONDS = 0.002
_DECODED_MICROSECONDS = 1.0
"""Measured for one round of a loop over effects, one effect in a list that ``filter`` makes, at each addition;
and for a character that is searched, or decoded and searched."""
_CALLED_VALUES = 10
"""A call of a macro takes as long as the conversion of so many values, and each of those as a round of a loop."""
_MOST_GROWTH = 10**9
"""How often a condition may be counted to have taken something into a list or a text; more is as bad."""
_DECODING = frozenset({"holds", "decoded"})
_SEARCHING = _DECODING | {
    "contains",
    "matches",
    "glob",
    "lower",
    "asked",
    "startsWith",
    "endsWith",
}


@dataclass(frozen=True)
class Iteration:
    """What is gone through: a list or a map by a macro of CEL, or an argument of a macro of a file."""

    path: str
    """Such as ``call.recipients``; ``[]`` for a list in the condition itself; else empty."""
    name: str = ""
    """What each item is called inside."""
    collects: bool = False
    """Whether it makes a list: the evaluator copies all of it at each addition."""
    is_argument: bool = False
    """Whether it is an argument of a macro: all of it is converted."""

    @property
    def variable(self) -> str:
        """The first name of its path."""
        return self.path.partition(".")[0]

    def within(self, values: Mapping[str, str]) -> Iteration:
        """Return it with the paths of arguments in place of the names of parameters."""
        first, dot, rest = self.path.partition(".")
        path = values.get(first, first)
        return replace(self, path=path and f"{path}{dot}{rest}")


Chain = tuple[Iteration, ...]
"""An iteration behind all those around it."""


@dataclass(frozen=True)
class Cost:
    """What may make a condition last."""

    chains: tuple[Chain, ...] = ()
    search: float = 0.0
    """Microseconds for each character that is searched; 0 if none is."""
    items: int = 0
    """The most items of a list, or arguments of a call, that stand in it."""
    has_maps: bool = False
    """Whether maps stand in it: fields may then be theirs."""
    growth: int = 1
    """How many times as long as what it reads a list or a text that it makes may be: ``l + l + l`` is thrice ``l``."""

    @property
    def may_last(self) -> bool:
        """Whether the time depends on the variables, beyond a moment for a long text."""
        return bool(self.chains) or self.search >= _DECODED_MICROSECONDS or self.growth > 1

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.chains + other.chains,
            max(self.search, other.search),
            max(self.items, other.items),
            self.has_maps or other.has_maps,
            min(self.growth * other.growth, _MOST_GROWTH),
        )

    def microseconds(self, variables: Variables) -> float:
        """Return about how long it takes at most.

        A loop over a list of each item of the loop around it (``m.to`` in one over messages) has as many rounds
        as there are such items in all; one over something else has all of its rounds each time. Each round may
        search its own item and those of the loops around it.
        """
        load = _Load(variables, self)
        each_time = _ROUND_MICROSECONDS + load.of("")[0] * _COPIED_MICROSECONDS * (self.growth - 1)
        spent = each_time + self.search * load.longest("")
        for chain in self.chains:
            chars, rounds = 0.0, 1.0
            for each, level in zip(chain, _levels(chain, load), strict=True):
                chars, rounds = level.times * level.text + level.most * chars, level.rounds
                spent += rounds * level.most * _COPIED_MICROSECONDS if each.collects else 0.0
            search = 0.0 if chain[-1].is_argument else self.search
            beside = load.longest(chain[0].variable)
            spent += rounds * (each_time + search * beside) + chars * search
        return spent


def of_source(source: str, sites: Sequence[CallSite]) -> Cost:
    """Return what may make an expression last, macros of its file aside."""
    names = {site.name for site in sites}
    search = _SEARCHED_MICROSECONDS if names & _SEARCHING else 0.0
    search = _DECODED_MICROSECONDS if names & _DECODING else search
    chains = tuple((*_around(site), _iteration(site)) for site in sites if site.is_loop)
    items = max((len(site.arguments) for site in sites), default=0)
    has_maps = any(source[site.edges[0]] == "{" for site in sites)
    return Cost(chains, search, items, has_maps, 1 + source.count("+"))


def of_call(site: CallSite, parameters: Sequence[str], macro: Cost) -> Cost:
    """Return what a call of a macro may take: its arguments are converted, then it is evaluated."""
    around, values = _around(site), dict[str, str]()
    chains: list[Chain] = []
    for parameter, text in zip_longest(parameters, site.arguments, fillvalue=""):
        read = paths(text)
        values[parameter] = text if read == [text] else ""
        chains += [(*around, Iteration(path, is_argument=True)) for path in read or [WRITTEN]]
    chains += [(*around, *(each.within(values) for each in chain)) for chain in macro.chains]
    return replace(macro, chains=tuple(chains))


def _around(site: CallSite) -> Chain:
    return tuple(_iteration(each) for each in reversed([*site.loops()]))


def _iteration(site: CallSite) -> Iteration:
    name = next(iter(site.arguments), "")
    return Iteration(site.target or "", name, site.name in ("filter", "map"))


class _Level(NamedTuple):
    """One iteration of a chain: how often it begins, its rounds in all, what its list holds."""

    times: float
    rounds: float
    text: int
    most: int


def _levels(chain: Chain, load: _Load) -> Iterator[_Level]:
    before, rounds, outer = 1.0, 1.0, Iteration("")
    for each in chain:
        known, inner = each.variable in load.variables, each.variable == outer.name != ""
        times = before if inner else rounds
        if each.path == WRITTEN:
            items, text, most, times = load.cost.items, 0, load.cost.items, rounds
        elif each.is_argument:  # items of a list, all together, are the list
            items, text = load.values(outer.path if inner and not known else each.path), 0
            items, most = items + _CALLED_VALUES * max(1, round(rounds / times)), items
        elif known or "." not in each.path or load.cost.has_maps:
            items, text = load.of(each.path)
            most, times = items, rounds
        else:
            items, text, most = load.under(each.path.rpartition(".")[2])
            items = items if inner else most
        before, rounds, outer = rounds, max(1.0, times * items), each
        yield _Level(times, rounds, text, most)


class _Load:
    """How many items and characters the values of variables hold, in all and under each key."""

    def __init__(self, variables: Variables, cost: Cost) -> None:
        self.variables, self.cost, self._growth = variables, cost, cost.growth
        self._keys: dict[str, tuple[int, int, int]] = {}
        self._whole: dict[str, tuple[int, int]] = {}
        self._longest: dict[str, int] = {}
        for name, value in variables.items():
            self._weigh(name, value)

    def of(self, path: str) -> tuple[int, int]:
        """Return what a list holds that is found by its path: items and characters.

        If nothing has this path, it is taken to be the longest list, as often as the condition may make it longer,
        and to hold all the text.
        """
        node = self._at(path)
        if isinstance(node, Mapping | list | tuple):
            return len(node), sum(len(item) for item in _nodes(node) if isinstance(item, str))
        if path.partition(".")[0] in self.variables:
            return 0, 0
        most = max((self.cost.items, *(most for most, _ in self._whole.values())))
        return most * self._growth, sum(text for _, text in self._whole.values()) * self._growth

    def under(self, key: str) -> tuple[int, int, int]:
        """Return what all lists hold that stand under a key: items, characters, items of the longest."""
        items, text, most = self._keys.get(key, (0, 0, 0))
        return items * self._growth, text * self._growth, most * self._growth

    def longest(self, besides: str) -> int:
        """Return the characters of the longest text in a variable other than one."""
        longest = (n for name, n in self._longest.items() if name != besides)
        return max(longest, default=0) * self._growth

    def values(self, path: str) -> int:
        """Return how many values there are at a path; in all variables if nothing has this path."""
        known = path.partition(".")[0] in self.variables
        return sum(1 for _ in _nodes(self._at(path) if known else list(self.variables.values())))

    def _at(self, path: str) -> Any:
        first, *keys = path.split(".")
        node = self.variables.get(first)
        for key in keys:
            node = node.get(key) if isinstance(node, Mapping) else None
        return node

    def _weigh(self, name: str, value: Any) -> None:
        text, most, longest = 0, 0, 0
        for node in _nodes(value):
            if isinstance(node, str):
                text += len(node)
                longest = max(longest, len(node))
            elif isinstance(node, Mapping | list | tuple):
                most = max(most, len(node))
                for key, item in node.items() if isinstance(node, Mapping) else ():
                    if isinstance(item, Mapping | list | tuple):
                        self._add(str(key), item)
        self._whole[name] = most, text
        self._longest[name] = longest

    def _add(self, key: str, value: Any) -> None:
        items, text, most = self._keys.get(key, (0, 0, 0))
        inside = sum(len(leaf) for leaf in value if isinstance(leaf, str))
        self._keys[key] = items + len(value), text + inside, max(most, len(value))


def _nodes(value: Any) -> Iterator[Any]:
    """Yield a value and all within it; without recursion, since an agent nests as deep as it likes."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, Mapping):
            waiting += node.values()
        elif isinstance(node, list | tuple):
            waiting += node
