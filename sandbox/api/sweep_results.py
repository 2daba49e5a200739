"""How a sweep ended, and the results of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import Self, overload

from rich.console import Console

from sandbox.api.results import Results
from sandbox.api.sweep_progress import rates_table
from sandbox.runs.run_plan import RunResult
from sandbox.sweeps.running_rates import Tally
from sandbox.sweeps.store import Counts, Sweeps
from sandbox.sweeps.sweep_state import Course
from sandbox.terminal_escape import plain
from sandbox.trace.store import Store

_WIDTH = 120
"""Characters of a line of its table."""


@dataclass(frozen=True, repr=False)
class SweepResults(Sequence[RunResult]):
    """A sweep after its execution; a sequence of its finished runs, read when they are asked for."""

    id: str
    name: str
    status: str
    """``finished``, or ``stopped`` if a budget left no room."""
    reason: str
    """Why it was stopped."""
    counts: Counts
    rates: Mapping[tuple[str, ...], Tally] = field(repr=False)
    """Model, scaffold and defence → outcomes of the runs."""
    store_url: str = field(repr=False)

    @classmethod
    def of(cls, store: Store, course: Course) -> Self:
        """Return how a sweep stands after an execution."""
        row = course.sweeps.get(course.sweep.id)
        counts = course.sweeps.counts(row.id)[()]
        rates = dict(course.rates.parts)
        return cls(row.id, row.name, row.status, row.reason, counts, rates, store.url)

    @cached_property
    def runs(self) -> Results:
        """The finished runs, in the order in which they were planned."""
        with Store(self.store_url) as store:
            return Results(tuple(RunResult.of(x) for _, x in Sweeps(store).results(self.id)))

    @overload
    def __getitem__(self, index: int) -> RunResult: ...
    @overload
    def __getitem__(self, index: slice) -> Results: ...
    def __getitem__(self, index: int | slice) -> RunResult | Results:
        """Return one result, or some."""
        return self.runs[index]

    def __len__(self) -> int:
        return self.counts.finished

    def __repr__(self) -> str:
        console = Console(width=_WIDTH, color_system=None, force_jupyter=False)
        with console.capture() as shown:
            console.print(rates_table(self.rates, width=_WIDTH))
        counts, lines = self.counts, (line.rstrip() for line in shown.get().splitlines())
        reason = f": {self.reason}" if self.reason else ""
        failed = f", {counts.failed} failed" if counts.failed else ""
        skipped = f", {counts.skipped} left out" if counts.skipped else ""
        done = f"{counts.finished}/{counts.planned} runs{failed}{skipped}"
        title = plain(f"sweep {self.id} ({self.name}) is {self.status}{reason}; {done}")
        return "\n".join([title, *lines])

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"
