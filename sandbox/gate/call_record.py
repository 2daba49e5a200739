"""One call that came to the gate, from its intent to what it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

from sandbox.detectors.call import Arguments
from sandbox.enums import CallStatus
from sandbox.monitors.step import Step
from sandbox.trace.effects import Effect


class ScoredCall(TypedDict):
    """A call as score expressions see it."""

    tool: str
    args: dict[str, object]
    agent: str
    status: CallStatus
    result: str
    effects: list[Effect]


@dataclass
class CallRecord:
    """What a call was, and what came of it: scorers and the agent see it so."""

    call_id: int
    """Number of its intent in the trace, unique in the run; late effects are put to it by this."""
    model_id: str
    """What the model calls it, which it may do twice."""
    tool: str
    """As the model wrote it if there is no such tool."""
    arguments: Arguments
    """Empty where the model wrote no JSON object."""
    agent: str
    step: Step | None = field(default=None, repr=False)
    """The call as monitors see it; None for one that they were not asked about."""
    status: CallStatus = CallStatus.FAULT
    """What became of it; a fault until it is known."""
    text: str = ""
    """What the agent gets to read."""
    effects: tuple[Effect, ...] = ()
    """What it did, late effects included."""
    terminate: bool = False
    """Whether a monitor ends the run."""

    def as_data(self) -> ScoredCall:
        """Return it as score expressions see it."""
        return {
            "tool": self.tool,
            "args": dict(self.arguments),
            "agent": self.agent,
            "status": self.status,
            "result": self.text,
            "effects": list(self.effects),
        }
