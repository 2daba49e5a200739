"""The pilot of the TUI in tests: press keys, wait until nothing is being read any more, look."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import WorkerCancelled

from sandbox.tui.app import ReplayApp
from sandbox.tui.styled_text import visible
from sandbox.tui.widgets.reader import Reader
from sandbox.tui.widgets.rows import Rows

DEADLINE = 20.0
SMALL, LARGE = (80, 24), (200, 50)
SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "200x50"])
Driver = Pilot[None]
Kind = TypeVar("Kind", bound=Widget)


class Compare(Protocol):
    """The fixture of pytest-textual-snapshot."""

    def __call__(
        self, app: ReplayApp, *, terminal_size: tuple[int, int], run_before: object
    ) -> bool:
        """Return whether the app looks as it did."""


async def settle(pilot: Driver) -> None:
    """Wait until no worker reads and no timer of a resting cursor is left."""
    async with asyncio.timeout(DEADLINE):
        for _ in range(2):
            await pilot.pause(0.03)
            while pilot.app.workers:
                with suppress(WorkerCancelled):  # another one reads what is wanted by now
                    await pilot.app.workers.wait_for_complete()
        await pilot.pause()


def keys(*pressed: str) -> Callable[[Driver], Awaitable[None]]:
    """Return what presses keys, one after the other, each when the one before has had its effect."""

    async def press(pilot: Driver) -> None:
        await settle(pilot)
        for key in pressed:
            await pilot.press(key)
            await settle(pilot)

    return press


def rows(app: ReplayApp) -> Rows:
    """Return the list of the screen."""
    return app.screen.query_one(Rows)


def seen(screen: Screen[Any]) -> str:
    """Return the text of all that the screen's lists, bars and readers draw."""
    drawn = []
    for widget in screen.query("StyledLines"):
        for y in range(widget.size.height):
            drawn.append(widget.render_line(y).text)
    return "\n".join(drawn)


def read(app: ReplayApp) -> str:
    """Return the text of the first reader, seen or not."""
    lines = app.screen.query_one(Reader).lines
    return "\n".join("".join(visible(text) for text, _ in line) for line in lines)
