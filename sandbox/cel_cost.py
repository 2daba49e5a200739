"""How long a condition may take: what it goes over and searches is the agent's, and may be made to last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.cel_scan import WRITTEN, Site, paths

Variables = Mapping[str, Any]
"""Name → value, those that a condition reads."""
LIGHT_MICROSECONDS = 200_000
"""A condition that may take longer is not evaluated in the host's process."""
_ROUND_MICROSECONDS = 2.0
_COPIED_MICROSECONDS = 0.9
_SEARCHED_MICROSECONDS = 0.002
_DECODED_MICROSECONDS = 1.0
"""Measured for one round of a loop over effects, one effect in a list that ``filter`` makes, at each addition;
and for a character that is searched, or decoded and searched."""
_CALLED_MICROSECONDS = 15.0
_HANDED_MICROSECONDS = 1.5
"""Measured for one call of a macro with parameters, and for each value within what it is given."""
_WRITTEN_ITEMS = 10
"""Of a list that stands in a condition."""
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
    """A macro of CEL that goes over a list or a map."""

    path: str
    """Such as ``call.recipients``; ``[]`` for a list in the condition itself; else empty."""
    name: str
    """What each item is called inside."""
    collects: bool
    """Whether it makes a list: the evaluator copies all of it at each addition."""

    @property
    def variable(self) -> str:
        """The first name of its path."""
        return self.path.partition(".")[0]


Chain = tuple[Iteration, ...]
"""An iteration behind all those around it."""


@dataclass(frozen=True)
class MacroUse:
    """A call of a macro with parameters."""

    around: Chain
    """The iterations in which it stands."""
    arguments: tuple[str, ...]
    """The variables in what it is given, with the fields behind them."""


@dataclass(frozen=True)
class Cost:
    """What may make a condition last."""

    chains: tuple[Chain, ...] = ()
    uses: tuple[MacroUse, ...] = ()
    search: float = 0.0
    """Microseconds for each character that is searched; 0 if none is."""

    @property
    def parts(self) -> int:
        """How many iterations and calls there are, those within macros included."""
        return len(self.chains) + len(self.uses)

    @property
    def may_last(self) -> bool:
        """Whether the time depends on the variables, beyond a moment for a long text."""
        return bool(self.parts) or self.search >= _DECODED_MICROSECONDS

    def __add__(self, other: Cost) -> Cost:
        search = max(self.search, other.search)
        return Cost(self.chains + other.chains, self.uses + other.uses, search)

    def within(self, around: Chain, values: Mapping[str, str]) -> Cost:
        """Return the cost of a macro where it is called.

        Args:
            around: The iterations in which the call stands.
            values: Parameter → the path that it is given; empty for anything else.
        """
        chains = tuple(
            (*around, *(_substitute(each, values) for each in chain)) for chain in self.chains
        )
        uses = tuple(
            MacroUse(
                (*around, *(_substitute(each, values) for each in use.around)),
                tuple(_substitute_path(each, values) for each in use.arguments),
            )
            for use in self.uses
        )
        return Cost(chains, uses, self.search)

    def microseconds(self, variables: Variables) -> float:
        """Return about how long it takes at most.

        A loop over a list of each item of the loop around it (``m.to`` in one over messages) has as many rounds
        as there are such items in all; one over something else has all of its rounds each time. Each round may
        search its own item and those of the loops around it.
        """
        load = _Load(variables)
        spent = _ROUND_MICROSECONDS + self.search * load.longest("")
        for chain in self.chains:
            levels, chars = list(_levels(chain, load)), 0.0
            for each, level in zip(chain, levels, strict=True):
                chars = level.times * level.text + level.most * chars
                spent += level.rounds * level.most * _COPIED_MICROSECONDS if each.collects else 0.0
            beside = load.longest(chain[0].variable)
            spent += levels[-1].rounds * (_ROUND_MICROSECONDS + self.search * beside)
            spent += chars * self.search
        return spent + sum(_use_microseconds(use, load) for use in self.uses)


def of_source(source: str, sites: Sequence[Site]) -> Cost:
    """Return what may make an expression last, macros of its own aside."""
    names = {site.name for site in sites}
    search = _SEARCHED_MICROSECONDS if names & _SEARCHING else 0.0
    search = _DECODED_MICROSECONDS if names & _DECODING else search
    chains = tuple(
        (*around(source, site), _iteration(source, site)) for site in sites if site.is_loop
    )
    return Cost(chains, (), search)


def around(source: str, site: Site) -> Chain:
    """Return the iterations in which a call stands."""
    return tuple(_iteration(source, each) for each in reversed([*site.loops()]))


def of_call(source: str, site: Site, parameters: Sequence[str], macro: Cost) -> Cost:
    """Return what a call of a macro may take."""
    given = [paths(text) for text in site.arguments(source)]
    texts = site.arguments(source)
    simple = [own[0] if own == [text] else "" for own, text in zip(given, texts, strict=True)]
    outside = around(source, site)
    use = MacroUse(outside, tuple(path for own in given for path in own))
    inside = macro.within(outside, dict(zip(parameters, simple, strict=False)))
    return Cost((), (use,)) + inside


def _iteration(source: str, site: Site) -> Iteration:
    name = next(iter(site.arguments(source)), "")
    return Iteration(site.target or "", name, site.name in ("filter", "map"))


def _substitute(iteration: Iteration, values: Mapping[str, str]) -> Iteration:
    return Iteration(_substitute_path(iteration.path, values), iteration.name, iteration.collects)


def _substitute_path(path: str, values: Mapping[str, str]) -> str:
    first, dot, rest = path.partition(".")
    return path if first not in values else values[first] and f"{values[first]}{dot}{rest}"


@dataclass(frozen=True)
class _Level:
    """One iteration of a chain: how often it begins, its rounds in all, what its list holds."""

    times: float
    rounds: float
    text: int
    most: int


def _levels(chain: Chain, load: _Load) -> Iterator[_Level]:
    before, rounds, parent = 1.0, 1.0, ""
    for each in chain:
        if each.path == WRITTEN:
            items, text, most, times = _WRITTEN_ITEMS, 0, _WRITTEN_ITEMS, rounds
        elif each.variable in load.variables or "." not in each.path:
            items, text = load.of(each.path)
            most, times = items, rounds
        else:
            items, text, most = load.under(each.path.rpartition(".")[2])
            times = before if each.variable == parent else rounds
            items = items if each.variable == parent else most
        before, rounds, parent = rounds, max(1.0, times * items), each.name
        yield _Level(times, rounds, text, most)


def _use_microseconds(use: MacroUse, load: _Load) -> float:
    """Return what calls of a macro take by themselves: what they are given is converted each time."""
    levels = list(_levels(use.around, load))
    rounds = levels[-1].rounds if levels else 1.0
    values = 0.0
    for path in use.arguments:
        for each, level in zip(use.around, levels, strict=True):
            if each.name == path.partition(".")[0]:  # items, which all together are the list
                values += level.times * load.values(each.path) * rounds / level.rounds
                break
        else:
            values += rounds * load.values(path)
    return rounds * _CALLED_MICROSECONDS + values * _HANDED_MICROSECONDS


class _Load:
    """How many items and characters the values of variables hold, in all and under each key."""

    def __init__(self, variables: Variables) -> None:
        self.variables = variables
        self._keys: dict[str, tuple[int, int, int]] = {}
        self._whole: dict[str, tuple[int, int]] = {}
        self._longest: dict[str, int] = {}
        for name, value in variables.items():
            self._weigh(name, value)

    def of(self, path: str) -> tuple[int, int]:
        """Return what a list holds that is found by its path: items and characters.

        Where nothing has this path, it is taken to be the longest list, and to hold all the text.
        """
        node = self._at(path)
        if isinstance(node, Mapping | list | tuple):
            return len(node), sum(len(item) for item in _nodes(node) if isinstance(item, str))
        if path.partition(".")[0] in self.variables:
            return 0, 0
        most = max((most for most, _ in self._whole.values()), default=0)
        return most, sum(text for _, text in self._whole.values())

    def under(self, key: str) -> tuple[int, int, int]:
        """Return what all lists hold that stand under a key: items, characters, items of the longest."""
        return self._keys.get(key, (0, 0, 0))

    def longest(self, besides: str) -> int:
        """Return the characters of the longest text in a variable other than one."""
        return max((n for name, n in self._longest.items() if name != besides), default=0)

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
