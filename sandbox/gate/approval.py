"""Who decides where a monitor says ``escalate``: a person at the terminal, or a policy."""

from __future__ import annotations

from typing import Protocol

from sandbox.monitors.step import Step
from sandbox.monitors.verdict import Verdict


class Approver(Protocol):
    """Decides whether an escalated call goes on."""

    name: str
    """Stands in the trace as who decided."""

    async def approve(self, step: Step, verdict: Verdict) -> bool:
        """Return whether the call may go on."""


class FixedApprover:
    """Decides by policy, where no one is there to ask."""

    def __init__(self, *, allow: bool) -> None:
        self.name = f"policy: {'allow' if allow else 'deny'}"
        self._allow = allow

    async def approve(self, step: Step, verdict: Verdict) -> bool:
        """Return the policy."""
        return self._allow
