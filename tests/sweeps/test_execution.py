"""Sweeps on one machine: bounded, resumed, stopped by budgets and by knowing enough."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from sandbox.errors import InputError, TakenError
from sandbox.runs.recovery import mark_interrupted
from sandbox.sweeps.lease import Claim, holder
from sandbox.sweeps.store import Sweeps
from sandbox.sweeps.sweep_state import Course
from sandbox.sweeps.tables import ClaimRow
from sandbox.trace.verify import verify
from tests.support.chat_server import ChatServer, failure, reply
from tests.support.sweeps import Sweeper

MIXED = "scripted/mixed?p=0.4"


async def test_a_whole_sweep(sweeper: Sweeper) -> None:
    """Every item is filled by a run of its own, and counts and rates say so."""
    row = sweeper.create(models=["scripted/unsafe", "scripted/safe"], repeat=3)
    courses: list[Course] = []
    row = await sweeper.execute(row, seen=courses.append)
    sweeps = Sweeps(sweeper.store)
    counts = sweeps.counts(row.id)[()]
    assert (row.status, counts.finished, counts.left, counts.failed) == ("finished", 6, 0, 0)
    assert len({item.run for item in sweeps.items(row.id)}) == 6
    assert all(verify(sweeper.store, run).ok for run in sweeper.store.runs())
    parts = courses[0].rates.parts
    assert parts["scripted/unsafe", "react", "scenario"].rate("unsafe") == (3, 3)
    assert parts["scripted/safe", "react", "scenario"].rate("unsafe") == (0, 3)
    assert holder(sweeper.store, row.name) is None


async def test_equal_seeds_are_equal_outcomes(sweeper: Sweeper) -> None:
    """The same file gives the same keys and the same outcomes, whatever the order was."""
    rows = [sweeper.create(models=[MIXED], repeat=8) for _ in range(2)]
    for row, at_once in zip(rows, (1, 5), strict=True):
        await sweeper.execute(row, at_once)
    assert sweeper.outcomes(rows[0]) == sweeper.outcomes(rows[1])
    assert {outcome[3] for outcome in sweeper.outcomes(rows[0])} == {"safe", "unsafe"}


async def test_what_is_stopped_is_gone_on_with(sweeper: Sweeper) -> None:
    """A sweep that its user stops is interrupted; resumed, it comes to the outcomes of one that was not."""
    whole, parts = (sweeper.create(models=[MIXED], repeat=10) for _ in range(2))
    await sweeper.execute(whole)
    sweeps = Sweeps(sweeper.store)
    three = asyncio.Event()

    def watch(course: Course) -> None:
        course.listener = lambda item, filled: three.set() if course.finished >= 3 else None

    task = asyncio.create_task(sweeper.execute(parts, seen=watch))
    await asyncio.wait_for(three.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    counts = sweeps.counts(parts.id)[()]
    assert (sweeps.get(parts.id).status, counts.running) == ("interrupted", 0)
    assert 3 <= counts.finished < 10
    row = await sweeper.execute(parts)
    assert row.status == "finished"
    assert sweeper.outcomes(whole) == sweeper.outcomes(parts)
    assert mark_interrupted(sweeper.store) == []


async def test_a_budget_ends_it(sweeper: Sweeper, chat_server: ChatServer) -> None:
    """No run is begun that would go beyond a budget; with a larger one it goes on."""
    chat_server.does(reply("No."))
    row = sweeper.create(
        models=[chat_server.model(), "scripted/safe"],
        repeat=6,
        budget={"providers": {"openai": {"tokens": 35}}},
        concurrency={"provider": 1},
    )
    row = await sweeper.execute(row)
    sweeps = Sweeps(sweeper.store)
    counts = sweeps.counts(row.id, "provider")
    assert (counts["openai",].finished, counts["scripted",].finished) == (3, 6)
    assert row.status == "stopped"
    assert "openai's budget of 35 tokens" in row.reason
    sweeps.set(row.id, spec={**row.spec, "budget": {}})
    row = await sweeper.execute(row)
    assert (row.status, sweeps.counts(row.id)[()].finished) == ("finished", 12)


async def test_enough_is_known_early(sweeper: Sweeper) -> None:
    """A part whose interval is narrow is left out from then on; the others go on."""
    row = sweeper.create(
        models=["scripted/safe", "scripted/mixed?p=0.5"],
        repeat=16,
        stop={"width": 0.35, "least": 5},
    )
    row = await sweeper.execute(row, 2)
    counts = Sweeps(sweeper.store).counts(row.id, "model")
    assert counts["scripted/safe",].finished <= 11
    assert counts["scripted/safe",].left == 0
    assert counts["scripted/mixed?p=0.5",].finished == 16
    assert row.status == "finished"


async def test_faults_are_tried_again(sweeper: Sweeper, chat_server: ChatServer) -> None:
    """A run that a fault of the environment ended is tried again as often as the file says."""
    chat_server.does(failure(400), failure(400), failure(400), reply("No."))
    row = sweeper.create(models=[chat_server.model(attempts=1)], repeat=2, retries=1)
    row = await sweeper.execute(row, 1)
    sweeps = Sweeps(sweeper.store)
    items = list(sweeps.items(row.id))
    assert [(item.task, item.failures, item.attempts) for item in items] == [
        ("error", 1, 2),
        ("incapable", 1, 2),
    ]
    assert sweeps.counts(row.id)[()].failed == 1
    assert sweeps.retry_failed(row.id) == 1
    row = await sweeper.execute(row, 1)
    assert (row.status, sweeps.counts(row.id)[()].failed) == ("finished", 0)


async def test_a_provider_that_refuses_is_asked_less(
    sweeper: Sweeper, chat_server: ChatServer
) -> None:
    """A 429 halves what goes on with that provider; nothing fails, and others are not slowed."""
    chat_server.does(failure(429), reply("No."))
    row = sweeper.create(models=[chat_server.model(), "scripted/safe"], repeat=4)
    paces: dict[str, Any] = {}
    row = await sweeper.execute(row, 4, lambda course: paces.update(course.paces))
    assert (row.status, Sweeps(sweeper.store).counts(row.id)[()].failed) == ("finished", 0)
    assert paces["openai"].refusals == 1
    assert paces["openai"].limit < 4
    assert paces["scripted"].limit == 4


async def test_a_scenario_that_changed(sweeper: Sweeper) -> None:
    """A sweep is not gone on with where its scenarios are not what they were."""
    row = sweeper.create()
    Sweeps(sweeper.store).set(row.id, scenarios=dict.fromkeys(row.scenarios, "0" * 64))
    with pytest.raises(InputError, match="has changed since the sweep began"):
        await sweeper.execute(row)
    assert Sweeps(sweeper.store).get(row.id).status == "failed"


async def test_one_at_a_time(sweeper: Sweeper) -> None:
    """While one process executes a sweep, no other executes one of its name; afterwards it may."""
    row = sweeper.create()
    claim = Claim(sweeper.store, row.name, row.id)
    with pytest.raises(TakenError, match="'nightly' is being executed"):
        await sweeper.execute(row)
    claim.release()
    assert (await sweeper.execute(row)).status == "finished"


async def test_a_claim_that_is_lost_ends_it(sweeper: Sweeper) -> None:
    """Who was taken for dead and comes back does not go on beside who took over."""
    row = sweeper.create(repeat=3)

    def lose(course: Course) -> None:
        sweeper.store.execute("change", update(ClaimRow).values(owner="another"))

    with pytest.raises(TakenError):
        await sweeper.execute(row, 1, lose)
