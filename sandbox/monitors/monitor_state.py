"""What a monitor keeps of each run: brought up to date with the turns since it was last asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from sandbox.detectors.turn import Turn
from sandbox.monitors.run_context import RunContext
from sandbox.monitors.step import Step

State = TypeVar("State")


class RunState(Generic[State]):
    """A state for each run, kept as long as the run's context is; each turn is looked at once.

    What it holds must not grow without bound: :attr:`take` decides what of a turn is worth keeping.
    """

    def __init__(self, start: Callable[[], State], take: Callable[[State, Turn], None]) -> None:
        """Make a memory.

        Args:
            start: Returns the state of a run in which nothing was said yet.
            take: Takes a turn into a state.
        """
        self._start = start
        self._take = take
        self._runs: WeakKeyDictionary[RunContext, tuple[State, int]] = WeakKeyDictionary()

    def before(self, step: Step) -> State:
        """Return what is known of all that came before a step."""
        state, done = self._runs.get(step.context) or (self._start(), 0)
        for turn in step.context.turns[done : step.position]:
            self._take(state, turn)
        self._runs[step.context] = state, max(done, step.position)
        return state
