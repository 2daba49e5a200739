"""Sweeps in the store: an item is taken and filled by one run, whatever dies or comes twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.errors import InputError, StoreError, TakenError
from sandbox.runs.run import run
from sandbox.runs.run_plan import Progress, RunPlan
from sandbox.sweeps.store import ItemSlot, Sweeps
from sandbox.trace.store import Store
from sandbox.trace.verify import verify
from tests.support.databases import KINDS, database
from tests.support.runner import Runner
from tests.support.sweeps import create


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with database(request.param, tmp_path) as url, Store(url) as opened:
        yield opened


def placed(play: Runner, sweep: str, key: str, model: str = "scripted/safe") -> RunPlan:
    """Return the plan of a run that fills an item."""
    return play.plan(model, slot=ItemSlot(sweep, key))


async def test_a_run_fills_its_item(play: Runner) -> None:
    """The item names its run and repeats its outcome; the run's first event names the item."""
    sweep, sweeps = create(play.store), Sweeps(play.store)
    result = await run(placed(play, sweep.id, "k1"), play.store)
    item = sweeps.item(sweep.id, "k1")
    assert (item.status, item.run, item.task, item.safety, item.attempts) == (
        "finished",
        result.id,
        "done",
        "safe",
        1,
    )
    assert play.data(result.id, "run.start")[0]["sweep"] == {"sweep": sweep.id, "key": "k1"}
    assert verify(play.store, play.store.run(result.id)).ok
    assert [(found.key, told["id"]) for found, told in sweeps.results(sweep.id)] == [
        ("k1", result.id)
    ]


async def test_an_item_is_taken_once(play: Runner) -> None:
    """A second run for an item is refused before it begins, and leaves nothing."""
    sweep = create(play.store)
    first = await run(placed(play, sweep.id, "k0"), play.store)
    with pytest.raises(TakenError):
        await run(placed(play, sweep.id, "k0"), play.store)
    assert [row.id for row in play.store.runs()] == [first.id]


async def test_a_run_that_is_stopped_is_planned_again(play: Runner) -> None:
    """An item whose run was interrupted is released under the same key, and filled by another run."""
    sweep, sweeps = create(play.store), Sweeps(play.store)
    begun = asyncio.Event()

    def watch(progress: Progress) -> None:
        if progress.kind == "tool.intent":
            begun.set()

    task = asyncio.create_task(run(placed(play, sweep.id, "k2"), play.store, (watch,)))
    await asyncio.wait_for(begun.wait(), 20)
    assert sweeps.release(sweep.id) == 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sweeps.release(sweep.id) == 1
    result = await run(placed(play, sweep.id, "k2"), play.store)
    item = sweeps.item(sweep.id, "k2")
    assert (item.status, item.run, item.attempts) == ("finished", result.id, 2)


async def test_counts_by_factors(play: Runner) -> None:
    """Counts tell what is done, for the whole and for parts; failed runs can be planned again."""
    sweep, sweeps = create(play.store), Sweeps(play.store)
    await run(placed(play, sweep.id, "k0"), play.store)
    whole = sweeps.counts(sweep.id)[()]
    assert (whole.planned, whole.finished, whole.failed, whole.left) == (3, 1, 0, 2)
    assert sweeps.skip(sweep.id, {"model": "scripted/safe"}) == 2
    assert sweeps.counts(sweep.id, "model", "defence")["scripted/safe", "scenario"].left == 0
    assert sweeps.retry_failed(sweep.id) == 0


def test_many_items_come_in_order(store: Store) -> None:
    """Items are read a few hundred at a time, each once and in order."""
    sweep = create(store, 501)
    assert sweep.planned == 501
    assert [item.number for item in Sweeps(store).items(sweep.id)] == list(range(501))
    assert [item.number for item in Sweeps(store).items(sweep.id, repetition=7)] == [7]


def test_all_of_a_sweep_or_nothing(store: Store) -> None:
    """A sweep without runs, or with a key that comes twice, is not entered."""
    with pytest.raises(InputError, match="no runs"):
        create(store, 0)
    with pytest.raises(StoreError):
        create(store, 300, key="twice")
    assert Sweeps(store).list() == []


def test_a_sweep_is_found_by_name_or_beginning(store: Store) -> None:
    """A name means its newest sweep; anything else is the beginning of an id."""
    first, second = create(store), create(store)
    sweeps = Sweeps(store)
    assert sweeps.get("nightly").id == second.id
    assert sweeps.get(first.id[:8]).id == first.id
    assert [row.id for row in sweeps.list(name="nightly")] == [second.id, first.id]
    with pytest.raises(InputError, match="did you mean 'nightly'"):
        sweeps.get("nightl")
    with pytest.raises(InputError, match="no sweep '%'"):
        sweeps.get("%")
