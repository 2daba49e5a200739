"""Who decides where a monitor says ``escalate``: a person at the terminal, or a policy."""

from __future__ import annotations

from typing import Literal, Protocol

from sandbox.monitors.step import Step
from sandbox.monitors.verdict import Verdict

Policy = Literal["ask", "allow", "deny"]


class Decider(Protocol):
    """Decides whether an escalated call goes on."""

    name: str
    """Stands in the trace as who decided."""

    async def allows(self, step: Step, verdict: Verdict) -> bool:
        """Return whether the call may go on."""
        ...


class Always:
    """Decides by policy, where no one is there to ask."""

    def __init__(self, *, allow: bool) -> None:
        self.name = f"policy: {'allow' if allow else 'deny'}"
        self._allow = allow

    async def allows(self, step: Step, verdict: Verdict) -> bool:
        """Return the policy."""
        return self._allow
