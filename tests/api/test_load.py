"""Frames of a store with a million events: memory does not grow with it. Takes some minutes."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest

import sandbox
from sandbox.interop.exporters.exporter import exporter
from sandbox.trace.events import GENESIS, Event, make
from sandbox.trace.tables import RunRow
from tests.support.runner import Runner

pytestmark = pytest.mark.load
EVENTS = 1_000_000
AT_ONCE = 50
"""Runs that are entered in one transaction."""
MOST_MIB = 700
"""Memory of a process that writes all frames to files; Python and pyarrow take some 150 of it."""


def copies(row: RunRow, events: list[Event], first: int) -> Iterator[tuple[RunRow, list[Event]]]:
    """Yield copies of a run under ids of their own, chained anew."""
    for number in range(first, first + AT_ONCE):
        run, previous, chained = f"{number:012x}", GENESIS, []
        for e in events:
            chained.append(make(run, e.seq, e.at, e.kind, e.agent, e.data, previous))
            previous = chained[-1].hash
        yield RunRow(**{**row.model_dump(), "id": run, "head": previous}), chained


def written(url: str, folder: str) -> int:
    """Write all frames to files; return the peak memory of this process in MiB."""
    with sandbox.Store(url) as store:
        exporter("parquet")(store, store.runs(), folder, lambda count: None)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


async def test_memory_does_not_grow_with_the_store(play: Runner, tmp_path: Path) -> None:
    """A million events are written in bounded memory, and a table of few columns is small."""
    result = await play("scripted/unsafe")
    row, events = play.store.run(result.id), list(play.store.events(result.id))
    count, runs = len(events), 1
    while count < EVENTS:
        made = list(copies(row, events, runs))
        play.store.enter([row for row, _ in made], [e for _, chain in made for e in chain], [])
        count, runs = count + AT_ONCE * len(events), runs + AT_ONCE
    with get_context("spawn").Pool(1) as pool:
        task = pool.apply_async(written, (play.store.url, str(tmp_path / "tables")))
        assert await asyncio.to_thread(task.get) < MOST_MIB
    table = sandbox.events_df(store=play.store, columns=["event", "model", "score_safety"])
    assert (table.num_rows, table.nbytes < 32 * 2**20) == (count, True)
