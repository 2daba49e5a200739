"""What was decided of a call before: a fork follows its parent's gate up to a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sandbox.models.base import ToolCall
from sandbox.monitors.verdict import Verdict


@dataclass(frozen=True)
class ReplayedDecision:
    """What a stage came to before: monitors look on, and nothing is decided anew."""

    verdict: Verdict | None
    """What stopped the call, or took its result's place; None where it went on."""
    by: str
    """Stands in the trace as who decided."""


@dataclass(frozen=True)
class CallDecisions:
    """What was decided of one call; None for a stage that is judged anew."""

    before: ReplayedDecision | None = None
    after: ReplayedDecision | None = None


class DecisionReplay(Protocol):
    """Says of each call, in order, what was decided of it before."""

    def decisions(self, agent: str, request: ToolCall) -> CallDecisions:
        """Return what was decided of a call that is about to be judged."""


class NoReplay:
    """Every call is judged anew."""

    def decisions(self, agent: str, request: ToolCall) -> CallDecisions:
        """Return that nothing was decided before."""
        return CallDecisions()
