"""Two runs side by side: which event of the one stands beside which of the other.

The calls are aligned first (by agent, tool and arguments), then, between two aligned calls, the events
by what they are. Times, durations and the names that models give their calls tell nothing apart.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

from sandbox.enums import EventKind
from sandbox.trace.event_types import KINDS
from sandbox.trace.events import Event, canonical
from sandbox.trace.fields import NAME, VOLATILE, pruner
from sandbox.trace.paging import Pages

_TELL_NOTHING = frozenset({VOLATILE, NAME})
_EXACT = 2000
"""Calls up to which every repetition counts; beyond, what is very common does not lead."""
_CLOSING = frozenset(
    {
        EventKind.CONTAINER_CLOSE,
        EventKind.RUN_SCORE,
        EventKind.RUN_END,
        EventKind.RUN_INTERRUPTED,
    }
)
_RUN_KINDS = frozenset(
    {
        EventKind.RUN_START,
        EventKind.RUN_END,
        EventKind.CONTAINER_OPEN,
        EventKind.CONTAINER_CLOSE,
    }
)


@dataclass(frozen=True)
class ComparableRun:
    """One run as far as comparing it needs: a few numbers for each event."""

    kinds: Sequence[str]
    tokens: Sequence[int]
    """What an event says, as a number: equal if nothing that matters differs."""
    calls: Sequence[int]
    """Numbers of the events that are intents."""
    closing: int
    """Number of the first of the events with which the run closes."""


@dataclass(frozen=True)
class EventPair:
    """Two events that stand side by side, by their numbers; None if one has no counterpart."""

    left: int | None
    right: int | None
    same: bool

    @property
    def mark(self) -> str:
        """The sign between them."""
        if self.left is None:
            return "+"
        if self.right is None:
            return "-"
        return " " if self.same else "≠"


def read_run(pages: Pages) -> ComparableRun:
    """Read a run for a comparison."""
    kinds: list[str] = []
    tokens = array("q")
    calls = array("q")
    for item in pages.each():
        if item.kind == EventKind.TOOL_INTENT:
            calls.append(len(kinds))
        kinds.append(item.kind)
        tokens.append(token(item))
    return ComparableRun(kinds, tokens, calls, _closing(kinds))


def token(item: Event) -> int:
    """Return a number for what an event says, without what differs from run to run anyway."""
    if item.kind in _RUN_KINDS:
        return hash(item.kind)
    return hash((item.kind, item.agent, _telling(item)))


def _telling(item: Event) -> str:
    known = KINDS.get(item.kind)
    take_out = pruner(known.data, _TELL_NOTHING) if known else None
    try:
        return canonical(take_out(json.loads(item.data))) if take_out else item.data
    except (ValueError, RecursionError):  # damaged: compared as it is
        return item.data


def align(left: ComparableRun, right: ComparableRun) -> list[EventPair]:
    """Return the pairs of two runs, in order."""
    return list(_pairs(left, right))


def _pairs(left: ComparableRun, right: ComparableRun) -> Iterator[EventPair]:
    one = [left.tokens[seq] for seq in left.calls]
    other = [right.tokens[seq] for seq in right.calls]
    yield from _between(left, right, _part(left, -1), _part(right, -1))
    for _, a, b, c, d in opcodes(one, other):
        for i, j in zip_longest(range(a, b), range(c, d)):
            yield from _between(left, right, _part(left, i), _part(right, j))
    ends = range(left.closing, len(left.kinds)), range(right.closing, len(right.kinds))
    yield from _between(left, right, *ends)


def _part(run: ComparableRun, call: int | None) -> range:
    """Return the events from one call to before the next; -1 for those before the first, None for none."""
    if call is None:
        return range(0)
    start = run.calls[call] if call >= 0 else 0
    stop = run.calls[call + 1] if call + 1 < len(run.calls) else run.closing
    return range(start, stop)


def _closing(kinds: Sequence[str]) -> int:
    """Return from which event on a run only closes."""
    stop = len(kinds)
    while stop and kinds[stop - 1] in _CLOSING:
        stop -= 1
    return stop


def _between(
    left: ComparableRun, right: ComparableRun, mine: range, yours: range
) -> Iterator[EventPair]:
    one = [left.kinds[seq] for seq in mine]
    other = [right.kinds[seq] for seq in yours]
    for tag, a, b, c, d in opcodes(one, other):
        if tag == "equal":
            for i, j in zip(mine[a:b], yours[c:d], strict=True):
                yield EventPair(i, j, left.tokens[i] == right.tokens[j])
        else:
            yield from (EventPair(i, None, False) for i in mine[a:b])
            yield from (EventPair(None, j, False) for j in yours[c:d])


def opcodes(
    one: Sequence[object], other: Sequence[object]
) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield difflib's opcodes; what both begin with and end with costs nothing."""
    least = min(len(one), len(other))
    start = next((i for i in range(least) if one[i] != other[i]), least)
    tail = next((i for i in range(least - start) if one[-1 - i] != other[-1 - i]), least - start)
    if start:
        yield "equal", 0, start, 0, start
    end, last = len(one) - tail, len(other) - tail
    middle, match = one[start:end], other[start:last]
    exact = max(len(middle), len(match)) <= _EXACT
    for tag, a, b, c, d in SequenceMatcher(None, middle, match, autojunk=not exact).get_opcodes():
        yield tag, a + start, b + start, c + start, d + start
    if tail:
        yield "equal", end, len(one), last, len(other)
