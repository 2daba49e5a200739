"""Playing a run at the pace at which it was recorded."""

from __future__ import annotations

from time import monotonic
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.timer import Timer

from sandbox.trace.store import Store
from sandbox.tui.playback import Pace
from sandbox.tui.screens.base import Showing
from sandbox.tui.styled_text import Line
from sandbox.tui.trace_source import Trace
from sandbox.tui.widgets.rows import Rows

_LEAST = 0.001
"""Seconds that a timer takes at least."""


class Playing(Showing):
    """A screen whose list's cursor can move by itself, event by event."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "play", "Play"),
        Binding("plus,equals_sign", "pace(1)", "Faster", show=False),
        Binding("minus", "pace(-1)", "Slower", show=False),
    ]

    WITHHELD: ClassVar[frozenset[str]] = frozenset()
    """Kinds of events that are not shown at first."""

    def __init__(self, store: Store, run: str, at: int = 0) -> None:
        """Show a run, with the cursor on an event."""
        super().__init__()
        self.row = store.run(run)
        self.trace = Trace(store, self.row, self.WITHHELD)
        self.first = at
        """Number of the event on which the cursor stands first."""
        self.note: Line = ()
        """The last word of the status line."""
        self._pace = Pace()
        self._playing: Timer | None = None
        self._due = 0.0

    def status(self) -> None:
        """Tell where one is."""
        raise NotImplementedError

    def playing_told(self) -> Line:
        """Return what the status line says of playing."""
        return ((f" ▶ {self._pace.told()} ", "good"),) if self._playing is not None else ()

    def say(self, text: str, tone: str = "alert") -> None:
        """Say a word in the status line, until the next."""
        self.note = ((f" {text} ", tone),) if text else ()
        self.status()

    def action_play(self) -> None:
        """Play at the recorded pace, or stop."""
        if self._playing is not None:
            self._stop()
        else:
            self._due = monotonic()
            self._schedule()

    def action_pace(self, by: int) -> None:
        """Play faster or slower."""
        self._pace = self._pace.changed(by)
        if self._playing is not None:
            self._playing.stop()
            self._due = monotonic()
            self._schedule()
        self.say("" if self._playing is not None else f"speed {self._pace.told()}", "dim")

    def _schedule(self) -> None:
        place = self.query_one(Rows).cursor
        here, there = self.trace.event(place), self.trace.event(place + 1)
        if here is None or there is None:
            self._stop()
            return
        late = max(monotonic() - self._due, 0.0)
        wait = self._pace.wait(here.at, there.at, late)
        self._due += self._pace.wait(here.at, there.at)
        self._playing = self.set_timer(max(wait, _LEAST), self._next)
        self.say(f"next event in {wait:.0f} s" if wait >= 1 else "", "dim")

    def _next(self) -> None:
        if not self.alive:
            return
        self.query_one(Rows).cursor += 1
        self._schedule()

    def _stop(self) -> None:
        if self._playing is not None:
            self._playing.stop()
        self._playing = None
        self.say("")
