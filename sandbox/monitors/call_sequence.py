"""In which order a run's calls came: what was before, how long ago, what goes round in circles.

Everything here is kept up to date at each call; no question looks at more than the last few dozen.
"""

from __future__ import annotations

from collections import Counter, deque

from sandbox.detectors.call import Call
from sandbox.enums import CallStatus

NEVER = 1_000_000_000
"""What ``since`` says of a tool that was not called: more than any run has calls."""
PERIOD = 4
"""The longest circle that is looked for, in calls."""
_KEPT = 32
_FAILED = ("error", "invalid", "timeout")


class CallSequence:
    """The order of the calls of one run that were let through, and which of them failed."""

    def __init__(self) -> None:
        self._calls = 0
        self._last: dict[str, int] = {}
        self._recent: deque[str] = deque(maxlen=_KEPT)
        self._failures: Counter[str] = Counter()

    def add(self, call: Call) -> None:
        """Take a call that was let through."""
        tool = call.tool
        for name in (tool.name, tool.toolkit, *tool.labels):
            self._last[name] = self._calls
        self._calls += 1
        self._recent.append(call.identity)

    def result(self, tool: str, status: str) -> None:
        """Take what became of a call: a failure counts until the tool succeeds."""
        if status in _FAILED:
            self._failures[tool] += 1
        elif status == CallStatus.OK:
            self._failures.pop(tool, None)

    def before(self, name: str) -> bool:
        """Return whether a tool, toolkit or tool with a label was called before."""
        return name in self._last

    def since(self, name: str) -> int:
        """Return how many calls there were after the last one of a tool, toolkit or label."""
        return self._calls - 1 - self._last[name] if name in self._last else NEVER

    def within(self, name: str, number: int) -> bool:
        """Return whether a tool, toolkit or label is among the last calls."""
        return self.since(name) < number

    def failures(self, tool: str) -> int:
        """Return how often a tool failed since it last succeeded."""
        return self._failures[tool]

    def rounds(self, call: Call | None) -> int:
        """Return how often the last calls went round in the same circle, with this one at its end.

        A circle is of two to :data:`PERIOD` calls that are not all the same; 0 where there is none.

        Args:
            call: A call that is not counted yet; None where the last one is.
        """
        calls = [*self._recent, call.identity] if call else list(self._recent)
        best = 0
        for period in range(2, PERIOD + 1):
            last = calls[-period:]
            if len(last) < period or len(set(last)) == 1:
                continue
            number = 1
            while calls[-period * (number + 1) : -period * number] == last:
                number += 1
            best = max(best, number if number > 1 else 0)
        return best
