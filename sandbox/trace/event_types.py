"""Which class describes the data of which kind of event. ``docs/events.md`` and the JSON Schema are made from them.

Data is a plain ``dict`` at run time; the classes are for type checkers and for whoever derives something from their
fields (:mod:`sandbox.trace.fields`). Fields are only ever added; a change of meaning raises
:data:`sandbox.trace.events.FORMAT`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sandbox.enums import EventKind
from sandbox.trace.call_events import (
    GateDecisionEvent,
    JudgeReplyEvent,
    MonitorErrorEvent,
    ToolDroppedEvent,
    ToolIntentEvent,
    ToolLateEvent,
    ToolResultEvent,
    VerdictEvent,
)
from sandbox.trace.events import Event, EventContent
from sandbox.trace.fields import Mark, names_with
from sandbox.trace.model_events import (
    ChannelMessageEvent,
    MessageEvent,
    ModelErrorEvent,
    ModelReplyEvent,
    ModelRequestEvent,
    ModelRetryEvent,
)
from sandbox.trace.run_events import (
    ContainerCloseEvent,
    ContainerOpenEvent,
    LimitEvent,
    RunEndEvent,
    RunForkEvent,
    RunInterruptedEvent,
    RunPurgedEvent,
    RunScoreEvent,
    RunStartEvent,
)

Data = TypeVar("Data")


@dataclass(frozen=True)
class EventType:
    """A kind of event."""

    data: type
    """The class of its data; its docstring says what the event tells."""
    replayed: bool = False
    """Whether a replay must bring it about again."""
    of_back_end: bool = False
    """Whether it says something of the back end only, in which runs that are the same may differ."""


KINDS: Mapping[str, EventType] = {
    EventKind.RUN_START: EventType(RunStartEvent),
    EventKind.CONTAINER_OPEN: EventType(ContainerOpenEvent, of_back_end=True),
    EventKind.CONTAINER_CLOSE: EventType(ContainerCloseEvent),
    EventKind.MESSAGE: EventType(MessageEvent, replayed=True),
    EventKind.CHANNEL_MESSAGE: EventType(ChannelMessageEvent, replayed=True),
    EventKind.MODEL_REQUEST: EventType(ModelRequestEvent),
    EventKind.MODEL_RETRY: EventType(ModelRetryEvent),
    EventKind.MODEL_REPLY: EventType(ModelReplyEvent),
    EventKind.MODEL_ERROR: EventType(ModelErrorEvent),
    EventKind.TOOL_INTENT: EventType(ToolIntentEvent, replayed=True),
    EventKind.TOOL_DROPPED: EventType(ToolDroppedEvent, replayed=True),
    EventKind.JUDGE_REPLY: EventType(JudgeReplyEvent),
    EventKind.VERDICT: EventType(VerdictEvent),
    EventKind.MONITOR_ERROR: EventType(MonitorErrorEvent),
    EventKind.GATE_DECISION: EventType(GateDecisionEvent),
    EventKind.TOOL_RESULT: EventType(ToolResultEvent, replayed=True),
    EventKind.TOOL_LATE: EventType(ToolLateEvent, replayed=True),
    EventKind.RUN_FORK: EventType(RunForkEvent),
    EventKind.LIMIT: EventType(LimitEvent),
    EventKind.RUN_SCORE: EventType(RunScoreEvent),
    EventKind.RUN_END: EventType(RunEndEvent),
    EventKind.RUN_INTERRUPTED: EventType(RunInterruptedEvent),
    EventKind.RUN_PURGED: EventType(RunPurgedEvent),
}
"""All kinds, in the order of the document."""

KIND_OF: dict[object, str] = {known.data: str(kind) for kind, known in KINDS.items()}
"""Class → the kind that it describes."""

REPLAYED = frozenset(kind for kind, known in KINDS.items() if known.replayed)
"""Kinds in which a replay must agree with the record."""

COLUMNS = names_with(RunStartEvent, Mark.INDEXED)
"""What the first event and the run's row say alike."""
OUTCOME = names_with(RunScoreEvent, Mark.INDEXED)
"""What the outcome and the run's row say alike."""


def of_kind(events: Iterable[EventContent], kind: type[Data]) -> Iterator[tuple[Event, Data]]:
    """Yield the events whose data a class describes, in order.

    Args:
        events: Events, each with its data.
        kind: The class.
    """
    name = KIND_OF[kind]
    return ((event, data) for event, data in events if event.kind == name)
