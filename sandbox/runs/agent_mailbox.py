"""What agents of a run have written to each other, as the world took it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sandbox.agents.teams import AgentMessage
from sandbox.enums import EffectKind
from sandbox.gate.call_record import CallRecord
from sandbox.scenario.topology import TOOLKIT
from sandbox.trace.effects import PatchOperation

_NEW = re.compile(rf"/{TOOLKIT}/messages/\d+")


@dataclass
class AgentMailbox:
    """Finds messages among the effects of calls, each once."""

    records: Sequence[CallRecord]
    """All calls of the run, which grow."""
    _next: int = field(init=False, default=0)

    def collect(self) -> Iterator[AgentMessage]:
        """Yield the messages that were sent since the previous time."""
        while self._next < len(self.records):
            self._next += 1
            for effect in self.records[self._next - 1].effects:
                if effect["kind"] == EffectKind.WORLD and effect["target"] == TOOLKIT:
                    yield from _messages(effect["detail"]["patch"])


def _messages(patch: Sequence[PatchOperation]) -> Iterator[AgentMessage]:
    for change in patch:
        value = change.get("value")
        if change["op"] == "add" and _NEW.fullmatch(change["path"]) and isinstance(value, dict):
            yield AgentMessage(str(value["from"]), str(value["to"]), str(value["text"]))
