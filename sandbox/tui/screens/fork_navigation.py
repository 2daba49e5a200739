"""From one run to another: its parent, its forks, a second one beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.screen import Screen

from sandbox.errors import SandboxError
from sandbox.tui.screens.compare import BesideScreen
from sandbox.tui.screens.dialogs import Choosing
from sandbox.tui.screens.playback import Playing
from sandbox.tui.styled_text import Line
from sandbox.tui.widgets.rows import Rows


class Branching(Playing):
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

    def branching_told(self) -> Line:
        """Return what the head line says of parent and forks."""
        told: Line = ()
        if self.trace.parent is not None:
            run, at = self.trace.parent
            told += ((f" ⑂ of {run[:8]} at {at} ", "alert"),)
        if self.trace.branches:
            count = sum(map(len, self.trace.branches.values()))
            told += ((f" ⑂ {count} fork{'s' if count > 1 else ''} ", "alert"),)
        return told

    def action_parent(self) -> None:
        """Open the run from which this one was forked, at the event where they part."""
        if self.trace.parent is None:
            self.tell("this run is no fork")
        else:
            self._open(*self.trace.parent)

    def action_branch(self) -> None:
        """Open a fork: of the event under the cursor, or of any where that has none."""
        branches = self.trace.branches
        at = self.seq
        found = [
            (at, *each) for at in ([at] if at in branches else branches) for each in branches[at]
        ]
        if not found:
            self.tell("this run has no forks")
        elif len(found) == 1:
            self._open(found[0][1], found[0][0])
        else:
            names = [f"{run[:12]}  at {at}  {model}" for at, run, model in found]

            def chosen(name: str | None) -> None:
                if name:
                    at, run, _ = found[names.index(name)]
                    self._open(run, at)

            self.app.push_screen(Choosing("Which fork?", names), chosen)

    def _open(self, run: str, at: int) -> None:
        """Open a run at an event: a fork holds the same events as its parent up to where they part."""
        self._push(lambda: type(self)(self.trace.store, run, at))

    def action_beside(self) -> None:
        """Ask for a second run and show both side by side."""
        forks = self.trace.branches.get(self.seq)
        parent = self.trace.parent
        answer = forks[0][0] if forks else parent[0] if parent else ""
        question = "Side by side with which run? (the beginning of its id)"
        self.ask(
            question,
            lambda other: self._push(lambda: BesideScreen(self.trace.store, self.trace.run, other)),
            answer,
        )

    def _push(self, make: Callable[[], Screen[None]]) -> None:
        try:
            self.app.push_screen(make())
        except SandboxError as error:
            self.tell(str(error), bad=True)
