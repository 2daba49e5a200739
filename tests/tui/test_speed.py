"""Large runs and large stores open soon and scroll at once. Limits are three times what is promised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.trace.store import Store
from sandbox.tui.app import ReplayApp
from sandbox.tui.trace_source import Search, TraceSource
from tests.support.timing import cpu_below
from tests.support.traces import Writer, long, start
from tests.support.tui_pilot import keys, rows, settle

pytestmark = pytest.mark.perf
LONG = "eeee00000005"
COUNT = 100_000
OPENS = 3.0
"""Seconds of processor time within which a run is on the screen."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with one run of 100,000 events and two thousand short ones."""
    path: Path = tmp_path_factory.mktemp("long") / "long.db"
    with Store(str(path)) as opened:
        long(opened, LONG, COUNT)
        for number in range(2000):
            writer = Writer(opened, f"{number:012x}")
            writer.add("run.start", start(["clerk"]))
            writer.row(started=float(number))
        yield opened


async def test_a_long_run_opens_in_a_second(store: Store) -> None:
    """100,000 events: the timeline and the first event's details are there."""
    with cpu_below(OPENS):
        app = ReplayApp(store, LONG)
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.pause()
            assert rows(app).count >= COUNT


async def test_a_long_run_scrolls_without_delay(store: Store) -> None:
    """Any place of a long run is drawn within a twentieth of a second."""
    app = ReplayApp(store, LONG)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for place in (99_000, 50_000, 3, 77_777):
            with cpu_below(0.15):
                rows(app).cursor = place
                for y in range(rows(app).size.height):
                    rows(app).render_line(y)


async def test_the_end_of_a_long_run_is_near(store: Store) -> None:
    """The last event, its filter and the world there come within a few seconds."""
    app = ReplayApp(store, LONG)
    async with app.run_test(size=(120, 40)) as pilot:
        with cpu_below(3 * OPENS):
            await keys("G", "f", "3")(pilot)


def test_search_goes_through_a_long_run_soon(store: Store) -> None:
    """A text that is nowhere is looked for in 100,000 events within a few seconds."""
    trace = TraceSource(store, store.run(LONG))
    with cpu_below(3 * OPENS):
        assert Search(trace, "nowhere to be found").next(-1) is None


async def test_a_store_of_thousands_of_runs_opens_in_a_second(store: Store) -> None:
    """The list of runs reads only what is on the screen."""
    app = ReplayApp(store)
    async with app.run_test(size=(120, 40)) as pilot:
        with cpu_below(OPENS):
            await pilot.pause()
            assert rows(app).count == 2001
        await keys("G")(pilot)
        assert rows(app).cursor == 2000
