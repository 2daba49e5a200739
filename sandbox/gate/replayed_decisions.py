"""What was decided of a call before: a fork follows its parent's gate up to a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sandbox.models.base import ToolCall
from sandbox.monitors.verdict import Verdict


@dataclass(frozen=True)
class Settled:
    """What a stage came to before: monitors look on, and nothing is decided anew."""

    verdict: Verdict | None
    """What stopped the call, or took its result's place; None where it went on."""
    by: str
    """Stands in the trace as who decided."""


@dataclass(frozen=True)
class Ruling:
    """What is settled of one call; None for a stage that is judged anew."""

    before: Settled | None = None
    after: Settled | None = None


class Precedent(Protocol):
    """Says of each call, in order, what is settled."""

    def ruling(self, agent: str, asked: ToolCall) -> Ruling:
        """Return what is settled of a call that is about to pass."""
        ...


class Unprecedented:
    """Nothing is settled: every call is judged anew."""

    def ruling(self, agent: str, asked: ToolCall) -> Ruling:
        """Return that nothing is settled."""
        return Ruling()
