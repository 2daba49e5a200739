"""The live view of a sweep on stderr, and its rates as a table."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Group
from rich.table import Table
from rich.text import Text

from sandbox.api.terminal import View, bar, errors, note
from sandbox.sweeps.running_rates import Tally
from sandbox.sweeps.store import ItemRow
from sandbox.sweeps.sweep_state import Course, ItemOutcome, Standing
from sandbox.sweeps.tables import SweepRow
from sandbox.terminal_escape import one_line, plain

_QUIET_SECONDS = 10.0
"""Between two lines if stderr is no terminal."""
_LINES = 12
"""Parts whose rates are shown at once."""
_WIDE = 110


class SweepView(View):
    """Watches a sweep. If stderr is no terminal it prints a line from time to time."""

    def __init__(self, sweep: SweepRow, *, quiet: bool) -> None:
        self._sweep = sweep
        self._course: Course | None = None
        self._noted = time.monotonic()
        super().__init__(quiet=quiet, refresh_per_second=4)

    def resume(self) -> None:
        """Show the picture, or say at least which sweep it is."""
        super().resume()
        if not self._live and not self._quiet:
            note(f"sweep {self._sweep.id} ({self._sweep.name})")

    def shows(self, course: Course) -> None:
        """Show this course from now on."""
        self._course = course

    def finish(self, item: ItemRow, filled: ItemOutcome) -> None:
        """Take note of a finished run."""
        now = time.monotonic()
        if self._live or self._quiet or not self._course or now - self._noted < _QUIET_SECONDS:
            return
        self._noted = now
        note(_line(self._course.standing()))

    def picture(self) -> Group:
        """Return a bar, the rates so far, and which models are asked less often."""
        if self._course is None:
            return Group(Text(f"sweep {self._sweep.id}: checks what it needs"))
        standing = self._course.standing()
        slow = [
            f"{plain(name)} slowed to {int(pace.limit)} of {pace.most} runs at once"
            for name, pace in dict(standing.paces).items()
            if pace.limit < pace.most
        ]
        head = bar(standing.finished + standing.skipped, standing.planned, plain(_line(standing)))
        rates = rates_table(dict(standing.rates), width=errors().width)
        return Group(head, rates, *map(Text, slow))


def _line(standing: Standing) -> str:
    left = "" if standing.left is None else f", {duration(standing.left)} left"
    failed = f", {standing.failed} failed" if standing.failed else ""
    skipped = f", {standing.skipped} left out" if standing.skipped else ""
    used = standing.used
    energy = f", {used.kwh:.4g} kWh" if used.kwh else ""
    return (
        f"{standing.finished}/{standing.planned} runs{failed}{skipped}, {standing.running} going on, "
        f"{duration(standing.elapsed)}{left}, {used.tokens:.0f} tokens, {used.eur:.4f} €{energy}"
    )


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def rates_table(parts: Mapping[tuple[str, ...], Tally], *, width: int) -> Table:
    """Return rates with their intervals, a line for each model, scaffold and defence.

    There are fewer rates if it is narrow, and no scaffolds if there is only ``react``.
    """
    rates = ("unsafe", "attempted", "done", "refused") if width >= _WIDE else ("unsafe", "done")
    grid = Table(box=None, pad_edge=False, header_style="bold")
    driven = {scaffold for _, scaffold, _ in parts} - {"react"}
    names = ("model", "scaffold", "defence") if driven else ("model", "defence")
    for heading in (*names, "runs", *rates, "errors"):
        word = heading in names
        grid.add_column(
            heading, justify="left" if word else "right", no_wrap=not word, overflow="fold"
        )
    for (model, scaffold, defence), tally in sorted(parts.items())[:_LINES]:
        grid.add_row(
            one_line(model, 60),
            *((one_line(scaffold, 40),) if driven else ()),
            one_line(defence, 24),
            str(tally.runs),
            *(_rate(tally, of) for of in rates),
            str(tally.errors or "–"),
        )
    if len(parts) > _LINES:
        grid.add_row(f"… {len(parts) - _LINES} more")
    return grid


def _rate(tally: Tally, of: str) -> str:
    count, total = tally.rate(of)
    if not total:
        return "–"
    low, high = tally.interval(of)
    return f"{100 * count / total:.0f} % ({100 * low:.0f}–{100 * high:.0f})"
