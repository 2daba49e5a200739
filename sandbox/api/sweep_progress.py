"""The live view of a sweep on stderr, and its rates as a table."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sandbox.api.terminal import errors, note
from sandbox.terminal_escape import one_line, plain

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from sandbox.sweeps.running_rates import Tally
    from sandbox.sweeps.store import ItemRow
    from sandbox.sweeps.sweep_state import Course, Filled, Standing
    from sandbox.sweeps.tables import SweepRow

_QUIET_SECONDS = 10.0
"""Between two lines where stderr is no terminal."""
_LINES = 12
"""Parts whose rates are shown at once."""
_WIDE = 110


class SweepView:
    """Watches a sweep. Where stderr is no terminal it prints a line from time to time."""

    def __init__(self, sweep: SweepRow, *, quiet: bool) -> None:
        """Show the progress of a sweep; ``quiet`` shows nothing."""
        from rich.live import Live

        self._sweep = sweep
        self._quiet = quiet
        self._course: Course | None = None
        self._told = time.monotonic()
        out = errors()
        self._live = (
            Live(console=out, get_renderable=self._picture, refresh_per_second=4, transient=True)
            if out.is_terminal and not quiet
            else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        elif not self._quiet:
            note(f"sweep {self._sweep.id} ({self._sweep.name})")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def shows(self, course: Course) -> None:
        """Show this course from now on."""
        self._course = course

    def done(self, item: ItemRow, filled: Filled) -> None:
        """Take note of a finished run."""
        now = time.monotonic()
        if self._live or self._quiet or not self._course or now - self._told < _QUIET_SECONDS:
            return
        self._told = now
        note(_line(self._course.standing()))

    def _picture(self) -> Group:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        if self._course is None:
            return Group(Text(f"sweep {self._sweep.id}: checks what it needs"))
        standing = self._course.standing()
        head = Table.grid(padding=(0, 1))
        done = standing.finished + standing.skipped
        head.add_row(
            ProgressBar(total=max(standing.planned, 1), completed=done, width=24),
            Text(plain(_line(standing))),
        )
        slowed = [
            f"{plain(name)} slowed to {int(pace.limit)} of {pace.most} runs at once"
            for name, pace in dict(standing.paces).items()
            if pace.limit < pace.most
        ]
        return Group(
            head, rates_table(dict(standing.rates), width=errors().width), *map(Text, slowed)
        )


def _line(standing: Standing) -> str:
    left = "" if standing.left is None else f", {duration(standing.left)} left"
    failed = f", {standing.failed} failed" if standing.failed else ""
    skipped = f", {standing.skipped} left out" if standing.skipped else ""
    used = standing.used
    cost = f"{used.tokens:.0f} tokens, {used.eur:.4f} €" + (
        f", {used.kwh:.4g} kWh" if used.kwh else ""
    )
    return (
        f"{standing.finished}/{standing.planned} runs{failed}{skipped}, {standing.running} going on, "
        f"{duration(standing.elapsed)}{left}, {cost}"
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

    There are fewer rates where it is narrow, and no scaffolds where there is only ``react``.
    """
    from rich.table import Table

    rates = ("unsafe", "attempted", "done", "refused") if width >= _WIDE else ("unsafe", "done")
    made = Table(box=None, pad_edge=False, header_style="bold")
    driven = {scaffold for _, scaffold, _ in parts} - {"react"}
    names = ("model", "scaffold", "defence") if driven else ("model", "defence")
    for heading in (*names, "runs", *rates, "errors"):
        word = heading in names
        made.add_column(
            heading, justify="left" if word else "right", no_wrap=not word, overflow="fold"
        )
    for (model, scaffold, defence), tally in sorted(parts.items())[:_LINES]:
        shown = [_rate(tally, of) for of in rates]
        told = (one_line(scaffold, 40),) if driven else ()
        made.add_row(
            one_line(model, 60),
            *told,
            one_line(defence, 24),
            str(tally.runs),
            *shown,
            str(tally.errors or "–"),
        )
    if len(parts) > _LINES:
        made.add_row(f"… {len(parts) - _LINES} more")
    return made


def _rate(tally: Tally, of: str) -> str:
    count, total = tally.rate(of)
    if not total:
        return "–"
    low, high = tally.interval(of)
    return f"{100 * count / total:.0f} % ({100 * low:.0f}–{100 * high:.0f})"
