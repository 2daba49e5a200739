"""From one run to another: its parent, its forks, a second one beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.screen import Screen

from sandbox.errors import SandboxError
from sandbox.tui.screens.compare import CompareScreen
from sandbox.tui.screens.dialogs import Choice
from sandbox.tui.screens.playback import PlaybackScreen
from sandbox.tui.styled_text import Line
from sandbox.tui.widgets.rows import Rows


class ForkScreen(PlaybackScreen):
    """A screen of one run from which others open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "beside", "Beside", show=False),
        Binding("p", "parent", "Parent", show=False),
        Binding("o", "branch", "Forks", show=False),
    ]

    @property
    def seq(self) -> int:
        """Number of the event under the cursor."""
        return self.trace.seq(self.query_one(Rows).cursor)

    def fork_words(self) -> Line:
        """Return what the head line says of parent and forks."""
        parent, count = self.trace.parent, sum(map(len, self.trace.branches.values()))
        words = [f" ⑂ of {parent[0][:8]} at {parent[1]} "] if parent else []
        words += [f" ⑂ {count} fork{'s' if count > 1 else ''} "] if count else []
        return tuple((word, "alert") for word in words)

    def action_parent(self) -> None:
        """Open the run from which this one was forked, at the event where they part."""
        if self.trace.parent is None:
            self.tell("this run is no fork")
        else:
            self._open(*self.trace.parent)

    def action_branch(self) -> None:
        """Open a fork: of the event under the cursor, or of any if that has none."""
        branches = self.trace.branches
        events = [self.seq] if self.seq in branches else branches
        forks = {
            f"{run[:12]}  at {at}  {model}": (run, at)
            for at in events
            for run, model in branches[at]
        }
        if not forks:
            self.tell("this run has no forks")
        elif len(forks) == 1:
            self._open(*next(iter(forks.values())))
        else:
            self.app.push_screen(
                Choice("Which fork?", list(forks)),
                lambda name: self._open(*forks[name]) if name else None,
            )

    def _open(self, run: str, at: int) -> None:
        """Open a run at an event: a fork holds the same events as its parent up to where they part."""
        self._push(lambda: type(self)(self.trace.store, run, at))

    def action_beside(self) -> None:
        """Ask for a second run and show both side by side."""
        forks = self.trace.branches.get(self.seq)
        parent = self.trace.parent
        answer = forks[0][0] if forks else parent[0] if parent else ""
        self.ask(
            "Side by side with which run? (the beginning of its id)",
            lambda other: self._push(
                lambda: CompareScreen(self.trace.store, self.trace.run, other)
            ),
            answer,
        )

    def _push(self, make: Callable[[], Screen[None]]) -> None:
        try:
            self.app.push_screen(make())
        except SandboxError as error:
            self.tell(str(error), bad=True)
