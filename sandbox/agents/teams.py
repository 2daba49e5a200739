"""Several agents in one run: one acts at a time, and reads what was written to it when its turn comes.

An agent acts until it speaks without calling a tool. Then the agent to whom something was written
first acts, and so on until nothing is left to read. Every message passes the gate as a call of
``team.send``; what is delivered is what the world took, not what a call's arguments say.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sandbox.agents.context import AgentContext
from sandbox.agents.scaffolds import Driver
from sandbox.enums import EffectKind
from sandbox.gate.call_record import CallRecord
from sandbox.models.base import Message
from sandbox.scenario.topology import TOOLKIT, Topology, successor
from sandbox.trace.effects import PatchOperation

_NEW = re.compile(rf"/{TOOLKIT}/messages/\d+")


@dataclass(frozen=True)
class AgentMessage:
    """A message from one agent to another."""

    sender: str
    to: str
    text: str


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


class MemberContext(AgentContext, Protocol):
    """What a team asks of one agent's conversation, beside what its graph does."""

    @property
    def final(self) -> str:
        """The agent's last words."""

    def leave(self) -> None:
        """Take note that the agent's scaffold has ended its turn.

        Raises:
            ScaffoldError: The scaffold broke its contract.
        """

    async def hand_over(self, to: str, text: str) -> str:
        """Send closing words to another agent, through the gate; return why not, where they are refused."""

    def hear(self, message: AgentMessage) -> Message:
        """Return a message as the agent is to read it; it is on record once the agent reads it."""


@dataclass
class Member:
    """One agent of a run."""

    context: MemberContext
    messages: list[Message]
    """All that was said to it and by it."""
    unread: list[AgentMessage] = field(default_factory=list)


@dataclass
class Team:
    """The agents of one run; a single one is a team without colleagues."""

    members: Mapping[str, Member]
    """Agent → its conversation, in the order of the scenario."""
    topology: Topology | None
    """How they work together; None for one agent."""
    scaffold: Driver
    turns: int
    """The most replies of the run."""
    new_messages: Callable[[], Iterable[AgentMessage]]
    """Returns the messages that were sent since the previous time."""
    _waiting: deque[str] = field(init=False, default_factory=deque)

    async def run(self, *starting: str) -> None:
        """Let agents act until nobody has anything left to read, or a limit or a monitor ends the run.

        Args:
            starting: Those that act first, in order, whether or not there is anything to read.
        """
        self._waiting.extend(starting)
        while self._waiting and not self.over:
            await self._act(self._waiting.popleft())

    @property
    def over(self) -> bool:
        """True where the run must end."""
        return any(member.context.over for member in self.members.values())

    async def _act(self, name: str) -> None:
        member = self.members[name]
        unread, member.unread = member.unread, []
        member.messages += map(member.context.hear, unread)
        member.messages = await self.scaffold.run(member.context, member.messages, self.turns)
        member.context.leave()
        self._deliver()
        to = successor(self.topology, tuple(self.members), name) if self.topology else ""
        if not to or not member.context.final or self.over:
            return
        refusal = await member.context.hand_over(to, member.context.final)
        # it may word them otherwise
        self._deliver(*([AgentMessage("", name, refusal)] if refusal else []))

    def _deliver(self, *replies: AgentMessage) -> None:
        for message in (*self.new_messages(), *replies):
            if message.to in self.members:
                self.members[message.to].unread.append(message)
                if message.to not in self._waiting:
                    self._waiting.append(message.to)
