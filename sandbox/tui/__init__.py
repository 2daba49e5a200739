"""The replay TUI: runs, one run as a timeline, two runs side by side.

Nothing is imported here but on call: ``sandbox --help`` does not pay for Textual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.analysis.annotation_session import Sitting
    from sandbox.trace.store import Store


def show(store: Store, run: str = "", beside: str = "", *, light: bool = False) -> None:
    """Show the runs of a store, or one, or two side by side, until the user leaves.

    Args:
        store: The store.
        run: Id of a run; the list of runs where left out.
        beside: Id of a second run.
        light: Dark letters on a light ground.
    """
    from sandbox.tui.app import Replay

    Replay(store, run, beside, light=light).run()


def label(sitting: Sitting, *, light: bool = False) -> None:
    """Let a person label the runs of a queue on the screen, until that person leaves.

    Args:
        sitting: The queue and who labels it.
        light: Dark letters on a light ground.
    """
    from sandbox.tui.app import Labelling

    Labelling(sitting, light=light).run()
