"""Playing a run at the pace at which it was recorded, or a multiple of it."""

from __future__ import annotations

from time import monotonic
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.timer import Timer

from sandbox.trace.store import Store
from sandbox.tui.screens.base import DetailScreen
from sandbox.tui.styled_text import Line
from sandbox.tui.trace_source import TraceSource
from sandbox.tui.widgets.rows import Rows

SPEEDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 600.0)
"""Recorded seconds in one second."""
_LEAST = 0.001
"""Seconds that a timer takes at least."""


class PlaybackScreen(DetailScreen):
    """A screen whose list's cursor can move by itself, event by event."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "play", "Play"),
        Binding("plus,equals_sign", "pace(1)", "Faster", show=False),
        Binding("minus", "pace(-1)", "Slower", show=False),
    ]

    WITHHELD: ClassVar[frozenset[str]] = frozenset()
    """Kinds of events that are not shown at first."""
    note: Line = ()
    """The end of the status line."""
    _speed = SPEEDS.index(1.0)
    _playing: Timer | None = None
    _due = 0.0

    def __init__(self, store: Store, run: str, at: int = 0) -> None:
        """Show a run, with the cursor on an event."""
        super().__init__()
        self.row = store.run(run)
        self.trace = TraceSource(store, self.row, self.WITHHELD)
        self.first = at
        """Number of the event on which the cursor stands first."""

    def status(self) -> None:
        """Show where one is."""
        raise NotImplementedError

    @property
    def speed(self) -> str:
        """How fast it is played, in words."""
        return f"{SPEEDS[self._speed]:g}×"

    def say(self, text: str, tone: str = "alert") -> None:
        """Show a word in the status line, until the next."""
        self.note = ((f" {text} ", tone),) if text else ()
        self.status()

    def action_play(self) -> None:
        if self._playing is not None:
            self._stop()
        else:
            self._due = monotonic()
            self._schedule()

    def action_pace(self, by: int) -> None:
        self._speed = max(0, min(self._speed + by, len(SPEEDS) - 1))
        if self._playing is None:
            self.say(f"speed {self.speed}", "dim")
            return
        self._playing.stop()
        self._due = monotonic()
        self._schedule()
        self.say("", "dim")

    def _schedule(self) -> None:
        place = self.query_one(Rows).cursor
        here, there = self.trace.event(place), self.trace.event(place + 1)
        if here is None or there is None:
            self._stop()
            return
        pause = (there.at - here.at) / SPEEDS[self._speed]
        wait = max(pause - max(monotonic() - self._due, 0.0), 0.0)  # what was late is made good
        self._due += max(pause, 0.0)  # a clock that went back counts as no time
        self._playing = self.set_timer(max(wait, _LEAST), self._next)
        self.say(f"next event in {wait:.0f} s" if wait >= 1 else "", "dim")

    def _next(self) -> None:
        if self.alive:
            self.query_one(Rows).cursor += 1
            self._schedule()

    def _stop(self) -> None:
        if self._playing is not None:
            self._playing.stop()
        self._playing = None
        self.say("")
