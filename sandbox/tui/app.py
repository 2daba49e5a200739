"""The application: a stack of screens over one store."""

from __future__ import annotations

from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from sandbox.trace.store import Store
from sandbox.tui.screens.beside import BesideScreen
from sandbox.tui.screens.run import RunScreen
from sandbox.tui.screens.runs import RunsScreen

DARK, LIGHT = "textual-dark", "textual-light"


class Replay(App[None]):
    """Shows the runs of a store, one of them, or two side by side."""

    CSS_PATH = "sandbox.tcss"
    TITLE = "sandbox replay"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q,ctrl+c", "quit", "Quit", show=False, priority=True),
    ]

    def __init__(self, store: Store, run: str = "", beside: str = "", *, light: bool = False) -> None:  # fmt: skip
        """Open on a screen.

        Args:
            store: The store.
            run: Id of a run to show; the list of runs where left out.
            beside: Id of a second run.
            light: Dark letters on a light ground.
        """
        super().__init__()
        self._store = store
        self._run = run
        self._beside = beside
        self.theme = LIGHT if light else DARK

    def on_mount(self) -> None:
        """Open the first screen."""
        if self._beside:
            self.push_screen(BesideScreen(self._store, self._run, self._beside))
        elif self._run:
            self.push_screen(RunScreen(self._store, self._run))
        else:
            self.push_screen(RunsScreen(self._store))

    def action_light(self) -> None:
        """Change between dark and light."""
        self.theme = DARK if self.theme == LIGHT else LIGHT
