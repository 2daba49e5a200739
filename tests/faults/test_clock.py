"""A clock that jumps: limits count what has passed, traces keep their order."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from sandbox.isolation.base import Backend
from sandbox.monitors.library import MonitorLibrary
from sandbox.runs.run_plan import Progress
from sandbox.scenario.loader import Loader
from sandbox.trace.store import Store
from sandbox.trace.verify import verify
from tests.support.runner import Runner, call, plays

DAY = 86_400.0
JUMPS = pytest.mark.parametrize("jump", [-DAY, DAY], ids=["back", "forward"])


class Clock:
    """The machine's clock, until it is set to another time."""

    def __init__(self) -> None:
        self._true = time.time
        self._off = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self._true() + self._off

    def jump(self, seconds: float) -> None:
        """Set it."""
        self._off = seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock of this process that can be set; what counts durations is not touched by that."""
    made = Clock()
    monkeypatch.setattr(time, "time", made)
    return made


@pytest.fixture
def play(loader: Loader, library: MonitorLibrary, bubblewrap: Backend, store: Store) -> Runner:
    """A way to run one scenario once."""
    return Runner(loader, library, bubblewrap, store)


@JUMPS
async def test_a_trace_across_a_jump(play: Runner, clock: Clock, jump: float) -> None:
    """Events stay in the order in which they came, the chain verifies, the duration is the true one."""

    def watch(progress: Progress) -> None:
        if progress.kind == "tool.result":
            clock.jump(jump)

    result = await play("scripted/safe", watchers=(watch,))
    assert result.task == "done"
    assert 0 <= result.seconds < 60
    assert verify(play.store, play.store.run(result.id)).ok
    events = [item for item, _ in play.events(result.id)]
    assert [item.seq for item in events] == list(range(len(events)))
    assert any(abs(after.at - before.at) > DAY / 2 for before, after in pairwise(events))


@JUMPS
@pytest.mark.parametrize("limit", ["seconds", "call_seconds"])
async def test_limits_across_a_jump(play: Runner, clock: Clock, jump: float, limit: str) -> None:
    """A limit on time comes neither at once nor a day late."""

    def watch(progress: Progress) -> None:
        if progress.kind == "tool.intent":
            clock.jump(jump)

    sleeper = plays(call("shell.run", command="sleep 40", timeout_seconds=60))
    result = await play(sleeper, "oversight/audit-log", watchers=(watch,), limits={limit: 2})
    assert 1 < result.seconds < 35
    assert verify(play.store, play.store.run(result.id)).ok
    (told,) = play.data(result.id, "tool.result")
    assert told["status"] == "timeout" or "killed after" in told["text"]
