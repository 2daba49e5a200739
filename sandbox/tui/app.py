"""The application: a stack of screens over one store."""

from __future__ import annotations

from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

from sandbox.analysis.annotation_session import Sitting
from sandbox.trace.store import Store
from sandbox.tui.screens.annotation import LabelScreen
from sandbox.tui.screens.compare import CompareScreen
from sandbox.tui.screens.run import RunScreen
from sandbox.tui.screens.runs import RunsScreen

DARK, LIGHT = "textual-dark", "textual-light"


class ReplayApp(App[None]):
    """Shows the runs of a store, one of them, or two side by side."""

    CSS_PATH = "sandbox.tcss"
    TITLE = "sandbox replay"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q,ctrl+c", "quit", "Quit", show=False, priority=True),
    ]

    def __init__(
        self, store: Store, run: str = "", beside: str = "", *, light: bool = False
    ) -> None:
        """Open on a screen.

        Args:
            store: The store.
            run: Id of a run to show; the list of runs if left out.
            beside: Id of a second run.
            light: Dark letters on a light ground.
        """
        super().__init__()
        self._store = store
        self._run = run
        self._beside = beside
        self.theme = LIGHT if light else DARK

    def on_mount(self) -> None:
        self.push_screen(self.first())

    def first(self) -> Screen[None]:
        """Return the first screen."""
        if self._beside:
            return CompareScreen(self._store, self._run, self._beside)
        return RunScreen(self._store, self._run) if self._run else RunsScreen(self._store)

    def action_light(self) -> None:
        self.theme = DARK if self.theme == LIGHT else LIGHT


class LabellingApp(ReplayApp):
    """Shows the runs of a queue one after the other to a person who labels them."""

    def __init__(self, sitting: Sitting, *, light: bool = False) -> None:
        """Open on the run at which the person is.

        Args:
            sitting: The queue and who labels it.
            light: Dark letters on a light ground.
        """
        super().__init__(sitting.store, light=light)
        self._sitting = sitting

    def first(self) -> Screen[None]:
        """Return the screen of that run."""
        return LabelScreen(self._sitting)
