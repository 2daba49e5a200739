"""What a fork follows: its parent's replies, calls and decisions up to an event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.enums import CallStatus, Decision, EventKind, Severity
from sandbox.errors import InputError
from sandbox.gate.replayed_decisions import CallDecisions, ReplayedDecision
from sandbox.models.base import Reply, ToolCall
from sandbox.monitors.verdict import Verdict
from sandbox.runs.timestamp_masking import Minutes
from sandbox.runs.trace_normalization import stable
from sandbox.scenario.stages import stages_of
from sandbox.trace.call_events import GateDecisionEvent, ToolResultEvent
from sandbox.trace.event_types import REPLAYED
from sandbox.trace.events import GENESIS, Event
from sandbox.trace.model_events import ModelReplyEvent
from sandbox.trace.run_events import ForkOrigin, Interjected, RunStartEvent
from sandbox.trace.store import Store

_MESSAGES = frozenset({EventKind.MESSAGE, EventKind.CHANNEL_MESSAGE})
_RESULTS = frozenset({EventKind.TOOL_RESULT, EventKind.TOOL_LATE})
_BROKEN = (CallStatus.FAULT, CallStatus.TIMEOUT)
_OF_A_CALL = _RESULTS | {EventKind.VERDICT, EventKind.MONITOR_ERROR, EventKind.GATE_DECISION}
EDIT = "fork"
"""Stands where a monitor's name stands, for a result that a fork replaces."""


@dataclass(frozen=True)
class RecordedEvent:
    """One event that a replay must bring about again."""

    seq: int
    kind: str
    agent: str
    data: Any
    """As :func:`sandbox.runs.trace_normalization.stable` leaves it, times of its own minutes hidden."""


@dataclass(frozen=True)
class Interjection:
    """A user's message that a fork put into a conversation."""

    agent: str
    turn: int
    """The reply before which it came."""
    text: str

    def as_data(self) -> Interjected:
        """Return it as JSON data for the trace."""
        return {"agent": self.agent, "turn": self.turn, "text": self.text}


@dataclass(frozen=True)
class Fork:
    """Where a run goes on from another one, and what is changed there."""

    parent: str
    at: int
    """Everything before this event of the parent is as it was; what follows happens anew."""
    after: str
    """Hash of the event before it."""
    model: str
    """The parent's model, as its user wrote it."""
    replies: Mapping[str, tuple[Reply, ...]] = field(repr=False)
    """Agent → its replies before the point."""
    rulings: tuple[CallDecisions, ...] = field(repr=False)
    """What is settled of each call, in order."""
    events: tuple[RecordedEvent, ...] = field(repr=False)
    interjections: tuple[Interjection, ...] = ()
    """Those of the parent's own forks."""
    message: str = ""
    """A user's message, heard at the point."""
    result: str | None = None
    """What the agent reads in place of the result at the point."""
    anyway: bool = False
    """Whether to go on where the replay does not agree with the record."""

    def summary(self) -> ForkOrigin:
        """Return what the first event of the fork says of it."""
        return {
            "after": self.after,
            "model": self.model,
            "replies": {agent: len(replies) for agent, replies in self.replies.items()},
            "calls": sum(ruling.before is not None for ruling in self.rulings),
            "messages": [said.as_data() for said in self.interjections],
            "message": self.message,
            "result": self.result,
            "anyway": self.anyway,
        }


@dataclass
class _ParentCall:
    agent: str
    intent: int
    result: int | None = None
    before: Verdict | None = None
    after: Verdict | None = None
    end: int = 0
    """Position of the last event of its judgement."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """Monitor → what it said in the stage that is being read."""
    late: bool = False
    """Whether what is read now judges what an earlier call did late."""

    def is_settled(self, at: int) -> bool:
        return self.result is not None and self.result <= at


def read(
    store: Store,
    run: str,
    at: int,
    *,
    message: str = "",
    result: str | None = None,
    anyway: bool = False,
) -> Fork:
    """Read what a fork of a run follows.

    Args:
        store: Where the run is.
        run: Its id.
        at: Position of the event from which on things happen anew.
        message: A user's message to be heard there.
        result: What the agent is to read in place of the result at that event.
        anyway: Whether to go on where the replay does not agree.

    Raises:
        InputError: There is no such event, or nothing can follow it.
    """
    reader = _Reader(at)
    for item in store.events(run):
        reader.take(item, store.content(item))
        if reader.is_done(item):
            break
    if at < 0 or at > reader.count:
        raise InputError(f"run {run} has no event {at}: its last one is {reader.count - 1}")
    if reader.ended is not None:
        raise InputError(
            f"run {run} was ended by its event {reader.ended[0]}, {reader.ended[1]}: "
            f"fork it at {reader.ended[0]} or before"
        )
    if result is not None and reader.at_kind != EventKind.TOOL_RESULT:
        known = ", ".join(str(seq) for seq in reader.results[-8:])
        raise InputError(
            f"--result needs the event of a result: event {at} is none"
            + (f"; the last ones before it are {known}" if known else "")
        )
    return Fork(
        run,
        at,
        reader.after,
        reader.model,
        {agent: tuple(replies) for agent, replies in reader.replies.items()},
        reader.rulings(run, result),
        tuple(reader.agreed()),
        tuple(reader.interjections),
        message,
        result,
        anyway,
    )


class _Reader:
    """Reads a trace up to a point, and on to the end of the call that the point is in."""

    def __init__(self, at: int) -> None:
        self._at = at
        self._calls: list[_ParentCall] = []
        self._expected: list[RecordedEvent] = []
        self._started = 0.0
        self.count = 0
        self.after = GENESIS
        self.model = ""
        self.at_kind = ""
        self.replies: dict[str, list[Reply]] = {}
        self.interjections: list[Interjection] = []
        self.results: list[int] = []
        self.ended: tuple[int, str] | None = None
        """The event that ended the parent for good, and what it was."""

    def is_done(self, item: Event) -> bool:
        return item.seq >= self._at and item.kind not in _OF_A_CALL

    def take(self, item: Event, data: Any) -> None:
        self.count = item.seq + 1
        before = item.seq < self._at
        if item.seq > self._at and item.kind not in _OF_A_CALL:
            return
        if before:
            self.after = item.hash
        if item.seq == self._at:
            self.at_kind = item.kind
        if item.kind == EventKind.RUN_START:
            self._start(item, data)
        elif item.kind == EventKind.MODEL_REPLY and before:
            self.replies.setdefault(item.agent, []).append(_reply(data, item.seq))
        elif item.kind == EventKind.RUN_FORK and before and data.get("message"):
            said = Interjection(data["agent"], data["turn"], data["message"])
            self.interjections.append(said)
        elif item.kind == EventKind.TOOL_INTENT and before:
            self._calls.append(_ParentCall(item.agent, item.seq, end=item.seq))
        elif self._calls:
            self._judge(item, data)
        if item.kind in REPLAYED and (before or item.kind in _RESULTS):
            shown = Minutes(self._started, item.at).hide(stable(item.kind, data))
            self._expected.append(RecordedEvent(item.seq, item.kind, item.agent, shown))

    def _start(self, item: Event, start: RunStartEvent) -> None:
        self._started = item.at
        self.model = start["model"]
        inherited = start["fork"]["messages"] if "fork" in start else []
        self.interjections = [Interjection(**said) for said in inherited]

    def _judge(self, item: Event, data: Any) -> None:
        """Take an event that may belong to the last call."""
        call = self._calls[-1]
        if data.get("stage") in stages_of("run"):  # of the run as a whole
            return
        if item.kind == EventKind.TOOL_LATE:
            call.late = True
        elif item.kind == EventKind.TOOL_RESULT and call.result is None:
            self._result(call, item.seq, data)
        elif item.kind == EventKind.VERDICT:
            call.end = item.seq
            call.verdicts[data["monitor"]] = Verdict.of_data(data)
        elif item.kind == EventKind.MONITOR_ERROR:
            call.end = item.seq
            name, reason = data["monitor"], f"the monitor {data['monitor']} failed"
            call.verdicts[name] = Verdict(name, Decision.BLOCK, Severity.MEDIUM, reason)
        elif item.kind == EventKind.GATE_DECISION:
            call.end = item.seq
            self._decided(call, item.seq, data)

    def _result(self, call: _ParentCall, seq: int, result: ToolResultEvent) -> None:
        call.result, call.end, call.verdicts = seq, seq, {}
        if seq < self._at:
            self.results.append(seq)
            if result["status"] in _BROKEN:
                self._end(seq, f"a call that ended in {result['status']}")

    def _decided(self, call: _ParentCall, seq: int, data: GateDecisionEvent) -> None:
        if not data["carried_out"]:
            return
        if data["verdict"] == Decision.TERMINATE and seq < self._at:
            self._end(seq, f"the monitor {data['monitor']}")
        if call.late:
            return
        said = call.verdicts.get(data["monitor"]) or Verdict(
            data["monitor"],
            Decision(data["verdict"]),
            Severity.MEDIUM,
            data.get("reason", ""),
            0.0,
            data.get("text", ""),
        )
        if data["stage"] in stages_of("call"):
            call.before = said
        else:
            call.after = said

    def _end(self, seq: int, what: str) -> None:
        self.ended = self.ended or (seq, what)

    def rulings(self, run: str, result: str | None) -> tuple[CallDecisions, ...]:
        """Return what is settled of each call: each stage that was over before the point."""
        by, rulings = f"the record of run {run}", []
        for call in self._calls:
            before = call.is_settled(self._at)
            after = call.result is not None and max(call.end, call.result) < self._at
            if before and result is not None and call.result == self._at:
                edit = Verdict(
                    EDIT, Decision.REWRITE, Severity.LOW, "replaced by the fork", 0.0, result
                )
                ruling = CallDecisions(
                    ReplayedDecision(call.before, by), ReplayedDecision(edit, "the fork")
                )
            else:
                ruling = CallDecisions(
                    ReplayedDecision(call.before, by) if before else None,
                    ReplayedDecision(call.after, by) if after else None,
                )
            rulings.append(ruling)
        return tuple(rulings)

    def agreed(self) -> list[RecordedEvent]:
        return [item for item in self._expected if self._recurs(item)]

    def _recurs(self, item: RecordedEvent) -> bool:
        """Return whether an event comes about again before anything new does."""
        if item.kind in _MESSAGES:  # those after the last reply come with the first new one
            replies = self.replies.get(item.agent, [])
            return bool(replies) and item.seq < (replies[-1].replayed or 0)
        if (
            item.kind == EventKind.TOOL_DROPPED
        ):  # before the calls of the reply, or where no new one follows it
            return True
        call = next((call for call in reversed(self._calls) if call.intent <= item.seq), None)
        return call is not None and call.is_settled(self._at)


def _reply(data: ModelReplyEvent, seq: int) -> Reply:
    calls = tuple(
        ToolCall(
            call["id"],
            call["name"],
            call.get("arguments"),
            call.get("raw", json.dumps(call.get("arguments"))),
        )
        for call in data["calls"]
    )
    return Reply(
        data["text"],
        calls,
        data.get("reasoning", ""),
        finish=data["finish"],
        model=data["model"],
        replayed=seq,
    )
