"""Asking a person at the terminal if a monitor escalates."""

from __future__ import annotations

import asyncio
import json
import sys

from sandbox.api.progress import LiveView
from sandbox.api.terminal import errors
from sandbox.errors import InputError
from sandbox.gate.approval import Approver, FixedApprover
from sandbox.monitors.step import Step
from sandbox.monitors.verdict import Verdict
from sandbox.terminal_escape import one_line, plain


class Person:
    """Decides by asking; one question at a time, whatever else runs."""

    name = "person at the terminal"

    view: LiveView | None = None

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def approve(self, step: Step, verdict: Verdict) -> bool:
        """Show the call and the monitor's reason; return the person's decision."""
        async with self._lock:
            if self.view:
                self.view.pause()
            try:
                return await asyncio.to_thread(_ask, step, verdict)
            finally:
                if self.view:
                    self.view.resume()


def decider_for(answer: str | None, *, ask: bool) -> Approver:
    """Return who decides what is escalated.

    Args:
        answer: ``ask``, ``deny`` or ``allow``, if somebody says.
        ask: Whether a person is asked if nobody says and one is there.

    Raises:
        InputError: A person is to be asked, and there is no terminal.
    """
    if answer == "ask" and not is_there():
        raise InputError("on_escalate: there is no terminal to ask at")
    if answer == "ask" or (answer is None and ask and is_there()):
        return Person()
    return FixedApprover(allow=answer == "allow")


def is_there() -> bool:
    """Return whether a person can be asked: input and messages are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ask(step: Step, verdict: Verdict) -> bool:
    out = errors()
    call, arguments = step.call, json.dumps(dict(step.call.arguments), ensure_ascii=False)
    out.print(f"\n{verdict.monitor} escalates a call of {plain(call.agent)} ({verdict.severity}):")
    out.print(f"  {plain(verdict.reason)}")
    out.print(f"  {call.tool.name} {one_line(arguments, 1000)}")
    while True:
        out.print("let it go on? [y/n] ", end="")
        answer = sys.stdin.readline()
        if answer.strip().lower() in {"y", "yes", "o", "oui"}:
            return True
        if answer.strip().lower() in {"n", "no", "non"} or not answer:
            return False
