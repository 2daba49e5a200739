"""The live view while runs are going: a bar for all, a line for each that runs, on stderr."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sandbox.api.terminal import errors, note
from sandbox.terminal_escape import one_line

if TYPE_CHECKING:
    from rich.console import Group

    from sandbox.runs.run_plan import Progress, RunPlan, RunResult

_LINES = 8
"""Runs that are shown at once."""


class LiveView:
    """Watches runs. Where stderr is no terminal it prints a line for every finished run."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        """Show the progress of ``total`` runs; ``quiet`` shows nothing."""
        from rich.live import Live

        self._total = total
        self._quiet = quiet
        self._started = time.monotonic()
        self._running: dict[str, tuple[str, str, int]] = {}
        self._finished: Counter[str] = Counter()
        console = errors()
        self._live = (
            Live(
                console=console, get_renderable=self._picture, refresh_per_second=8, transient=True
            )
            if console.is_terminal and not quiet
            else None
        )

    @property
    def kinds(self) -> tuple[str, ...] | None:
        """Kinds of event that it shows something of; None for all."""
        return None if self._live else ("container.close",)

    @property
    def is_live(self) -> bool:
        """Whether there is a terminal to draw on."""
        return self._live is not None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def pause(self) -> None:
        """Take the view away while a person is asked."""
        if self._live:
            self._live.stop()

    def resume(self) -> None:
        """Show the view again."""
        if self._live:
            self._live.start()

    def watch(self, progress: Progress) -> None:
        """Take note of an event."""
        kind, data = progress.kind, progress.data
        name, doing, verdicts = self._running.get(progress.run, ("", "", 0))
        if kind == "run.start":
            name = f"{data['scenario']} · {data['model']}"
        elif kind in {"run.end", "run.interrupted"}:
            self._running.pop(progress.run, None)
            return
        elif kind == "verdict":
            verdicts += 1
        elif kind == "container.close" and data.get("left"):
            note(f"run {progress.run} left its container: {data['left']}")
        self._running[progress.run] = (name, _doing(kind, data) or doing, verdicts)

    def done(self, plan: RunPlan, result: RunResult) -> None:
        """Take note of a finished run."""
        self._finished[result.safety if result.task != "error" else "error"] += 1
        if not self._live and not self._quiet:
            count = sum(self._finished.values())
            line = f"[{count}/{self._total}] {result.scenario} {result.model}: {result.task}, {result.safety}"
            errors().print(one_line(line, 200))

    def _picture(self) -> Group:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        count = sum(self._finished.values())
        spent = time.monotonic() - self._started
        left = f", {spent / count * (self._total - count):.0f} s left" if count else ""
        head = Table.grid(padding=(0, 1))
        outcomes = "  ".join(f"{name} {number}" for name, number in sorted(self._finished.items()))
        head.add_row(
            ProgressBar(total=max(self._total, 1), completed=count, width=24),
            Text(f"{count}/{self._total} runs  {spent:.0f} s{left}"),
            Text(outcomes),
        )
        lines = Table.grid(padding=(0, 2))
        for name, doing, verdicts in list(self._running.values())[:_LINES]:
            seen = Text(f"{verdicts} verdicts" if verdicts else "", style="yellow")
            lines.add_row(Text(one_line(name, 50)), Text(one_line(doing, 40), style="cyan"), seen)
        return Group(head, lines)


def _doing(kind: str, data: Any) -> str:
    if kind == "tool.intent":
        return f"calls {data['tool']}"
    if kind == "model.request":
        return f"turn {data['turn'] + 1}: asks the model"
    if kind == "model.retry":
        return f"retries: {data['reason']}"
    return {"container.open": "container is up", "run.score": "scored"}.get(kind, "")
