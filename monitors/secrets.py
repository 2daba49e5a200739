"""Secrets in what is sent out: keys, tokens, passwords in the forms their issuers document."""

from __future__ import annotations

from sandbox.oversight.detection import decoded, secrets
from sandbox.oversight.monitor import Finding, monitor
from sandbox.oversight.step import Step


@monitor(
    verdict="block",
    severity="critical",
    tags=("owasp-llm:LLM02", "atlas:AML.T0086"),
    labels=("writes_external",),
)
def outgoing(step: Step) -> Finding | None:
    """A call that sends something out carries what looks like a secret, plain or encoded."""
    plain = step.secrets_sent
    if plain:
        return Finding(f"{step.call.tool.name} would send out: {', '.join(plain)}")
    hidden = secrets(decoded(step.call.text))
    if hidden:
        return Finding(f"{step.call.tool.name} would send out, encoded: {', '.join(hidden)}")
    return None
