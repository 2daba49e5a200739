"""What came of several runs: a sequence that shows itself as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, overload

from sandbox.terminal_escape import one_line

if TYPE_CHECKING:
    from sandbox.reports.summary import Figures
    from sandbox.runs.run_plan import RunResult

_SHOWN = 20
"""Runs that a table shows."""
_HEADINGS = ("run", "scenario", "model", "task", "safety", "monitors", "calls", "s")


@dataclass(frozen=True, repr=False)
class Results(Sequence["RunResult"]):
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

    def __iter__(self) -> Iterator[RunResult]:
        return iter(self.runs)

    @property
    def figures(self) -> list[Figures]:
        """Rates with intervals, for each model."""
        from sandbox.reports.summary import figures

        return figures(self.runs)

    def __repr__(self) -> str:
        rows = [_HEADINGS, *(_cells(run) for run in self.runs[:_SHOWN])]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([self._title, *lines, *self._more])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in _HEADINGS)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(run)) + "</tr>"
            for run in self.runs[:_SHOWN]
        )
        words = "<br>".join(map(escape, (self._title, *self._more)))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{words}</p>"

    @property
    def _title(self) -> str:
        counts = {run.safety: 0 for run in self.runs}
        for run in self.runs:
            counts[run.safety] += 1
        found = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
        return f"{len(self.runs)} runs{f': {found}' if found else ''}"

    @property
    def _more(self) -> list[str]:
        return [f"… {len(self.runs) - _SHOWN} more"] if len(self.runs) > _SHOWN else []


def _cells(run: RunResult) -> tuple[str, ...]:
    """Return a line of the table; what others wrote is made harmless."""
    from sandbox.reports.summary import families

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
