"""The live view while runs are going: a bar for all, a line for each that runs, on stderr."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

from rich.console import Group
from rich.table import Table
from rich.text import Text

from sandbox.api.terminal import View, bar, errors, note
from sandbox.runs.run_plan import Progress, RunPlan, RunResult
from sandbox.terminal_escape import one_line

_LINES = 8
"""Runs that are shown at once."""


class LiveView(View):
    """Watches runs. If stderr is no terminal it prints a line for every finished run."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        self._total = total
        self._running: dict[str, tuple[str, str, int]] = {}
        self._outcomes: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        super().__init__(quiet=quiet, refresh_per_second=8)

    @property
    def kinds(self) -> tuple[str, ...] | None:
        """Kinds of event that it shows something of; None for all."""
        return None if self._live else ("container.close", "monitor.error")

    @property
    def is_live(self) -> bool:
        """Whether there is a terminal to draw on."""
        return self._live is not None

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
        elif kind == "monitor.error":
            self._failures[str(data["monitor"])] += 1
        elif kind == "container.close" and data.get("left"):
            note(f"run {progress.run} left its container: {data['left']}")
        self._running[progress.run] = (name, _doing(kind, data) or doing, verdicts)

    def finish(self, plan: RunPlan, result: RunResult) -> None:
        """Take note of a finished run."""
        self._outcomes[result.safety if result.task != "error" else "error"] += 1
        if not self._live and not self._quiet:
            count = sum(self._outcomes.values())
            line = f"[{count}/{self._total}] {result.scenario} {result.model}: {result.task}, {result.safety}"
            errors().print(one_line(line, 200))

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        for monitor, count in sorted(self._failures.items()):
            times = f"{count} times" if count > 1 else "once"
            note(f"{monitor} came to no verdict {times}; sandbox replay says why")

    def picture(self) -> Group:
        """Return a bar for all, and a line for each run that is going."""
        count = sum(self._outcomes.values())
        spent = time.monotonic() - self._started
        left = f", {spent / count * (self._total - count):.0f} s left" if count else ""
        outcomes = "  ".join(f"{name} {number}" for name, number in sorted(self._outcomes.items()))
        words = f"{count}/{self._total} runs  {spent:.0f} s{left}"
        lines = Table.grid(padding=(0, 2))
        for name, doing, verdicts in list(self._running.values())[:_LINES]:
            alerts = Text(f"{verdicts} verdicts" if verdicts else "", style="yellow")
            lines.add_row(Text(one_line(name, 50)), Text(one_line(doing, 40), style="cyan"), alerts)
        return Group(bar(count, self._total, words, outcomes), lines)


_DOING = {
    "tool.intent": "calls {tool}",
    "model.request": "asks the model",
    "model.retry": "retries: {reason}",
    "container.open": "container is up",
    "run.score": "scored",
}


def _doing(kind: str, data: Mapping[str, object]) -> str:
    turn = f"turn {int(str(data['turn'])) + 1}: " if kind == "model.request" else ""
    return turn + _DOING.get(kind, "").format(**data)
