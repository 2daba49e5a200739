"""What a monitor can say of a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.scenario.schema import Severity, VerdictName

STRICTNESS: dict[str, int] = {
    "allow": 0,
    "alert": 1,
    "rewrite": 2,
    "escalate": 3,
    "block": 4,
    "terminate": 5,
}
"""Verdict → how strict it is; of several, the strictest decides."""


@dataclass(frozen=True)
class Verdict:
    """One monitor's judgement of one call or its result."""

    monitor: str
    """``family.rule``."""
    verdict: VerdictName
    severity: Severity
    reason: str
    score: float = 1.0
    """Suspicion, 0 to 1."""
    rewrite: str = ""
    """The text that takes the result's place, where the verdict is ``rewrite``."""
    tags: tuple[str, ...] = ()
    """Taxonomy ids."""
    shown: str = ""
    """What the agent reads in place of the reason, where that is not for it: a judge's own words."""
    policy: Mapping[str, Any] = field(default_factory=dict)
    """Of a policy's verdict: its name, the threshold, the rate, the calibration and its hash."""

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON data for the trace."""
        return {
            "monitor": self.monitor,
            "verdict": self.verdict,
            "severity": self.severity,
            "reason": self.reason,
            "score": self.score,
            **({"rewrite": self.rewrite} if self.rewrite else {}),
            **({"tags": list(self.tags)} if self.tags else {}),
            **({"shown": self.shown} if self.shown else {}),
            **({"policy": dict(self.policy)} if self.policy else {}),
        }


def strictest(verdicts: list[Verdict]) -> Verdict | None:
    """Return the strictest of several verdicts, the first of equals; None where there are none."""
    return max(verdicts, key=lambda item: STRICTNESS[item.verdict], default=None)
