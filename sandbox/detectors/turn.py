"""One turn of a run: what was said, asked for or returned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.trace.call_events import CallRequest
from sandbox.trace.effects import Effect

Role = Literal["system", "user", "assistant", "call", "result"]


@dataclass(frozen=True)
class Turn:
    """One thing that was said, asked for or returned."""

    role: Role
    agent: str
    text: str
    """What was said, or a result's text; empty for a call."""
    reasoning: str = ""
    """The model's reasoning behind what it said, where the provider returns it."""
    tool: str = ""
    """Of a call or a result: ``toolkit.function``."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    original: CallRequest | None = None
    """Of a call that a scaffold edited: as the model asked for it."""
    status: str = ""
    """Of a result: ``ok``, ``error``, ``blocked`` …; ``late`` for what was done after it."""
    effects: tuple[Effect, ...] = ()
    """Of a result: what the call really did."""
