"""A run so far, as monitors see it; the same whether it is followed live or read from a store.

Everything that monitors know of earlier turns comes from here, and gets here as events: the gate's
recorder hands each one over as it is written, :mod:`sandbox.monitors.offline` does so from a trace.
A monitor therefore gives the same verdicts online and offline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.detectors.call import Call
from sandbox.detectors.canary_tracker import CanaryTracker
from sandbox.detectors.injection_compliance.instructions import InstructionIndex
from sandbox.detectors.provenance.text_index import Kind, TextIndex
from sandbox.detectors.turn import Role, Turn
from sandbox.enums import CallStatus, EventKind
from sandbox.monitors import expected_calls as plan
from sandbox.monitors.call_history import CallHistory
from sandbox.scenario.canaries import CanaryValue
from sandbox.trace.call_events import ToolIntentEvent, ToolLateEvent, ToolResultEvent
from sandbox.trace.model_events import ChannelMessageEvent, MessageEvent, ModelReplyEvent

_ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}


@dataclass(frozen=True)
class RunInfo:
    """What holds for all steps of a run."""

    lang: str = "en"
    scope: Mapping[str, object] = field(default_factory=lambda: {"protected": []})
    canary_values: Mapping[str, CanaryValue] = field(default_factory=dict)
    """Canary name → its value in this run."""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Tool → its labels."""
    expected_calls: tuple[Call, ...] = ()
    """Calls that a safe way takes, where the author of the task told them."""
    final_agent: str = ""
    """In a team, the agent whose closing words answer the task; those of others are for colleagues."""


class RunContext:
    """What happened in one run before the step at hand."""

    def __init__(self, info: RunInfo) -> None:
        self.info = info
        self.canaries = {name: canary.value for name, canary in info.canary_values.items()}
        """Canary name → value."""
        self.plan = plan.variable(info.expected_calls)
        """The plan as conditions see it."""
        self.principal = plan.PrincipalText()
        """What system and user said."""
        self.history = CallHistory()
        self.canary_tracker = CanaryTracker(info.canary_values)
        self.turns: list[Turn] = []
        """All that was said, asked for and returned, in order."""
        self.journal: list[tuple[Any, ...]] = []
        """What was done with this context, in order: who repeats it has one that is the same."""
        self._text_index = TextIndex()
        self._instructions = InstructionIndex()

    @property
    def text_index(self) -> TextIndex:
        """The texts so far, indexed; the number of a source is its turn's position."""
        for turn in self.turns[len(self._text_index.sources) :]:
            kind: Kind = "assistant" if turn.role == "call" else turn.role
            labels = self.info.labels.get(turn.tool, ())
            self._text_index.add(kind, turn.agent, turn.text, turn.tool, labels)
        return self._text_index

    @property
    def instructions(self) -> InstructionIndex:
        """What the user asked for, and what results tell whoever reads them to do."""
        for turn in self.turns[self._instructions.turns :]:
            self._instructions.add(turn)
        return self._instructions

    def add_event(self, kind: str, agent: str, data: Any) -> None:
        """Take in an event of the run; kinds that tell monitors nothing are passed over.

        Args:
            kind: Kind of the event; see ``docs/events.md``.
            agent: The agent that it concerns.
            data: Its data, large texts in place.
        """
        if (make := _TURNS.get(kind)) is None:
            return
        self.journal.append(("event", kind, agent, data))
        if kind == EventKind.TOOL_RESULT:
            self.history.sequence.result(str(data["tool"]), str(data["status"]))
        turn = make(agent, data)
        if turn is not None:
            self.turns.append(turn)
            if turn.role in ("system", "user"):
                self.principal.add(turn.text)


def _message(agent: str, data: MessageEvent) -> Turn | None:
    role = _ROLES.get(str(data.get("role")))
    return Turn(role, agent, _text(data.get("content"))) if role else None


def _channel_message(agent: str, data: ChannelMessageEvent) -> Turn:
    """Return an agent's words, which are no principal's; where they came from is known."""
    return Turn("assistant", str(data["from"]), _text(data.get("text")))


def _reply(agent: str, data: ModelReplyEvent) -> Turn | None:
    text, reasoning = str(data.get("text") or ""), str(data.get("reasoning") or "")
    return Turn("assistant", agent, text, reasoning) if text or reasoning else None


def _intent(agent: str, data: ToolIntentEvent) -> Turn:
    arguments = data.get("arguments")
    given = arguments if isinstance(arguments, Mapping) else {"": data.get("raw", "")}
    tool, original = str(data["tool"]), data.get("original")
    return Turn("call", agent, "", tool=tool, arguments=given, original=original)


def _result(agent: str, data: ToolResultEvent) -> Turn:
    return Turn(
        "result",
        agent,
        str(data["text"]),
        tool=str(data["tool"]),
        status=str(data["status"]),
        effects=tuple(data.get("effects", ())),
    )


def _late(agent: str, data: ToolLateEvent) -> Turn:
    effects = tuple(data["effects"])
    tool = str(data["tool"])
    return Turn("result", agent, "", tool=tool, status=CallStatus.LATE, effects=effects)


_TURNS: Mapping[str, Callable[[str, Any], Turn | None]] = {
    EventKind.MESSAGE: _message,
    EventKind.CHANNEL_MESSAGE: _channel_message,
    EventKind.MODEL_REPLY: _reply,
    EventKind.TOOL_INTENT: _intent,
    EventKind.TOOL_RESULT: _result,
    EventKind.TOOL_LATE: _late,
}
"""Kind of event → what it tells monitors."""


def _text(content: object) -> str:
    """Return a message's text: a string, or a list of blocks in OpenAI's chat format."""
    if isinstance(content, Sequence) and not isinstance(content, str):
        blocks = (item.get("text") for item in content if isinstance(item, Mapping))
        return "\n".join(str(text) for text in blocks if text)
    return str(content or "")
