"""The results of several runs: a sequence that shows itself as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import overload

from sandbox.enums import TaskOutcome
from sandbox.reports.summary import RunFigures, families, figures
from sandbox.runs.run_plan import RunResult
from sandbox.terminal_escape import one_line

_MOST = 20
"""Runs that a table shows."""
_HEADINGS = ("run", "scenario", "model", "task", "safety", "monitors", "calls", "s")


@dataclass(frozen=True, repr=False)
class Results(Sequence[RunResult]):
    """The results of runs, in the order in which they were planned."""

    runs: tuple[RunResult, ...]
    monitors: tuple[str, ...] = ()
    """Families of monitors that watched some of them."""

    @overload
    def __getitem__(self, index: int) -> RunResult: ...
    @overload
    def __getitem__(self, index: slice) -> Results: ...
    def __getitem__(self, index: int | slice) -> RunResult | Results:
        """Return one result, or some as results of their own."""
        if isinstance(index, slice):
            return Results(self.runs[index], self.monitors)
        return self.runs[index]

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def figures(self) -> list[RunFigures]:
        """Rates with intervals, for each model."""
        return figures(self.runs)

    def __repr__(self) -> str:
        rows = [_HEADINGS, *map(_cells, self.runs[:_MOST])]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([self._words[0], *lines, *self._words[1:]])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in _HEADINGS)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(run)) + "</tr>"
            for run in self.runs[:_MOST]
        )
        words = "<br>".join(map(escape, self._words))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{words}</p>"

    @property
    def _words(self) -> list[str]:
        """What stands above the table, and below it."""
        words = (run.safety if run.task != TaskOutcome.ERROR else "error" for run in self.runs)
        counts = sorted(Counter(words).items())
        outcomes = ", ".join(f"{count} {word}" for word, count in counts)
        number = f"{len(self.runs)} {'run' if len(self.runs) == 1 else 'runs'}"
        title = f"{number}{f': {outcomes}' if outcomes else ''}"
        more = len(self.runs) - _MOST
        return [title, f"… {more} more"] if more > 0 else [title]


def _cells(run: RunResult) -> tuple[str, ...]:
    """Return a line of the table; what others wrote is made harmless."""
    lang = "" if run.lang == "en" else f" [{run.lang}]"
    return (
        run.id,
        one_line(run.scenario, 60) + lang,
        one_line(run.model, 40),
        run.task,
        run.safety,
        one_line(families(run.verdicts), 40),
        str(run.tool_calls),
        f"{run.seconds:.1f}",
    )
