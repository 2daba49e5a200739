"""Where the arguments of a call came from, piece by piece, for a reader of a stored run."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.detectors.provenance import Origin, OriginPart, Origins, TextMatch
from sandbox.detectors.provenance import TextSource as Said
from sandbox.detectors.provenance.words import words
from sandbox.enums import EventKind
from sandbox.monitors.run_context import RunContext, RunInfo
from sandbox.trace.events import Event
from sandbox.trace.paging import Pages
from sandbox.views.replay import ODD

MOST = 10_000
"""Events of a run up to which arguments are followed: the index holds every word that was said."""
_TELLING = frozenset(
    {
        EventKind.MESSAGE,
        EventKind.CHANNEL_MESSAGE,
        EventKind.MODEL_REPLY,
        EventKind.TOOL_INTENT,
        EventKind.TOOL_RESULT,
    }
)
_WORD = re.compile(r"[^\W_]+")
_WHO = {"user": "the user", "system": "the system prompt", "assistant": "the agent's own words"}


@dataclass(frozen=True)
class Source:
    """One piece of an argument and the earlier text that it is from."""

    path: str
    """The argument, with keys and positions of nested values: ``to.0``."""
    start: int
    stop: int
    """The piece: characters ``start`` to before ``stop`` of the value's text; 0 to 0 for none of them."""
    value: str
    """The value's text."""
    label: str
    """What it is from, in words for a reader."""
    untrusted: bool = False
    """Whether it stood in a tool's result, and the user did not give it."""


class Provenance:
    """Follows the arguments of one run's calls; what was read once is kept."""

    def __init__(self, pages: Pages, content: Callable[[Event], Any]) -> None:
        """Follow a run.

        Args:
            pages: Its events.
            content: Reads the data of an event, stored texts in place.
        """
        self._pages = pages
        self._content = content
        self._trail = RunContext(RunInfo())
        self._turns: list[int] = []
        """Number of the event of each turn."""
        self._next = 0

    def of(self, seq: int, arguments: dict[str, object]) -> list[Source]:
        """Return from where the values of a call's arguments came.

        Args:
            seq: Number of the call's intent.
            arguments: Its arguments.
        """
        if seq > MOST:
            return []
        self._read(seq)
        before = bisect_left(self._turns, seq)
        origins = Origins(self._trail.text_index, arguments, before)
        return [source for origin in origins.values for source in self._sources(origin)]

    def _read(self, seq: int) -> None:
        for item in self._pages.each(self._next, seq):
            self._next = item.seq + 1
            if item.kind not in _TELLING:
                continue
            try:
                self._trail.add_event(item.kind, item.agent, self._content(item))
            except ODD:
                continue  # not as this version writes it: it tells nothing
            self._turns += [item.seq] * (len(self._trail.turns) - len(self._turns))

    def _sources(self, origin: Origin) -> Iterator[Source]:
        if origin.held:
            held = _leading(origin)
            untrusted = origin.untrusted and held.source.kind == "result"
            label = self._label(held.source, held.form)
            yield Source(origin.path, 0, len(origin.value), origin.value, label, untrusted)
        for part in origin.parts:
            start, stop = _place(origin.value, part)
            label = self._label(part.source, part.form)
            untrusted = part.source.kind == "result"
            yield Source(origin.path, start, stop, origin.value, label, untrusted)
        if origin.invented:
            yield Source(origin.path, 0, 0, origin.value, "no earlier text")

    def _label(self, source: Said, form: str) -> str:
        who = _WHO.get(source.kind, source.tool or source.kind)
        how = "" if form in ("plain", "joined") else f", {form}"
        return f"{who} (event {self._turns[source.number]}{how})"


def _leading(origin: Origin) -> TextMatch:
    """Return the text that answers for a value: the user's where it was given, else a result's."""
    given = (held for held in origin.held if held.source.trusted)
    results = (held for held in origin.held if held.source.kind == "result")
    return next(given, None) or next(results, None) or origin.held[0]


def _place(value: str, part: OriginPart) -> tuple[int, int]:
    """Return where the words of a part stand in a value; (0, 0) where they are not there as they are."""
    sought = part.text.split()
    if not sought or part.form == "encoded":
        return 0, 0
    found = [(word, *each.span()) for each in _WORD.finditer(value) for word in words(each[0])]
    told = [word for word, _, _ in found]
    for at in range(len(told) - len(sought) + 1):
        if told[at : at + len(sought)] == sought:
            return found[at][1], found[at + len(sought) - 1][2]
    return 0, 0
