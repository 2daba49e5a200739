"""What a monitor can say of a call."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.enums import STRICTNESS, Decision, Severity
from sandbox.trace.call_events import PolicyScore, VerdictData


@dataclass(frozen=True)
class Verdict:
    """One monitor's judgement of one call or its result."""

    monitor: str
    """``family.rule``."""
    verdict: Decision
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
    policy: PolicyScore | None = None
    """Of a policy's verdict."""

    def as_data(self) -> VerdictData:
        """Return it as JSON data for the trace."""
        data: VerdictData = {
            "monitor": self.monitor,
            "verdict": self.verdict,
            "severity": self.severity,
            "reason": self.reason,
            "score": self.score,
        }
        if self.rewrite:
            data["rewrite"] = self.rewrite
        if self.tags:
            data["tags"] = list(self.tags)
        if self.shown:
            data["shown"] = self.shown
        if self.policy:
            data["policy"] = self.policy
        return data

    @classmethod
    def of_data(cls, data: VerdictData) -> Verdict:
        """Return a verdict as a trace tells of it."""
        return cls(
            data["monitor"],
            Decision(data["verdict"]),
            Severity(data["severity"]),
            data["reason"],
            data["score"],
            data.get("rewrite", ""),
            tuple(data.get("tags", ())),
            data.get("shown", ""),
        )


def strictest(verdicts: list[Verdict]) -> Verdict | None:
    """Return the strictest of several verdicts, the first of equals; None where there are none."""
    return max(verdicts, key=lambda item: STRICTNESS[item.verdict], default=None)
