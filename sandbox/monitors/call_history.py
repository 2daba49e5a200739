"""An index over the calls of a run: what it answers costs the same however long the run is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from sandbox.detectors.call import Call
from sandbox.monitors.call_sequence import CallSequence


class CallHistory:
    """The calls of one run that were let through."""

    def __init__(self) -> None:
        self._identical: Counter[str] = Counter()
        self._tools: Counter[str] = Counter()
        self._totals: Counter[tuple[str, str, str]] = Counter()
        self.sequence = CallSequence()
        """In which order they came."""
        self.calls = 0
        """Calls before this one."""

        self.functions: dict[str, Callable[..., Any]] = {
            "count": self.count,
            "total": self.total,
            "before": self.sequence.before,
            "since": self.sequence.since,
            "within": self.sequence.within,
        }
        """What conditions ask of it by name."""

    def add(self, call: Call) -> None:
        """Take a call that was let through into the index."""
        self.calls += 1
        self.sequence.add(call)
        self._identical[call.identity] += 1
        self._tools[call.tool.name] += 1
        self._tools[call.tool.toolkit] += 1
        self._tools.update(call.tool.labels)
        to = "\0".join(map(_plain, call.recipients))
        for name, value in call.arguments.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                self._totals[call.tool.name, name, ""] += value  # type: ignore[assignment]
                self._totals[call.tool.name, name, to] += value  # type: ignore[assignment]

    def identical(self, call: Call) -> int:
        """Return how often the very same call was made before."""
        return self._identical[call.identity]

    def count(self, tool: str) -> int:
        """Return how many calls of a tool, toolkit or tools with a label there were."""
        return self._tools[tool]

    def total(self, tool: str, argument: str) -> float:
        """Return the sum of a number over all calls of a tool."""
        return float(self._totals[tool, argument, ""])

    def total_to(self, call: Call, argument: str) -> float:
        """Return the sum of a number over earlier calls of this tool to the same recipients."""
        to = "\0".join(map(_plain, call.recipients))
        return float(self._totals[call.tool.name, argument, to])


def _plain(text: str) -> str:
    return "".join(text.split()).lower()
