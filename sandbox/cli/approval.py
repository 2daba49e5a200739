"""Asking a person at the terminal where a monitor escalates."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

from sandbox.cli.output import errors
from sandbox.terminal_escape import one_line, plain

if TYPE_CHECKING:
    from sandbox.cli.progress import LiveView
    from sandbox.monitors.step import Step
    from sandbox.monitors.verdict import Verdict


class Person:
    """Decides by asking; one question at a time, whatever else runs."""

    name = "person at the terminal"

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self.view: LiveView | None = None

    async def approve(self, step: Step, verdict: Verdict) -> bool:
        """Show the call and the monitor's reason; return what the person says."""
        async with self._lock:
            if self.view:
                self.view.pause()
            try:
                return await asyncio.to_thread(_ask, step, verdict)
            finally:
                if self.view:
                    self.view.resume()


def is_there() -> bool:
    """Return whether a person can be asked: input and messages are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ask(step: Step, verdict: Verdict) -> bool:
    out = errors()
    out.print(
        f"\n{verdict.monitor} escalates a call of {plain(step.call.agent)} ({verdict.severity}):"
    )
    out.print(f"  {plain(verdict.reason)}")
    out.print(
        f"  {step.call.tool.name} {one_line(json.dumps(dict(step.call.arguments), ensure_ascii=False), 1000)}"
    )
    while True:
        out.print("let it go on? [y/n] ", end="")
        answer = sys.stdin.readline()
        if answer.strip().lower() in {"y", "yes", "o", "oui"}:
            return True
        if answer.strip().lower() in {"n", "no", "non"} or not answer:
            return False
