"""The replayed part of a fork: it follows the parent, and says where it does not come out the same."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sandbox.enums import EventKind
from sandbox.errors import ReplayError
from sandbox.gate.replayed_decisions import CallDecisions
from sandbox.models.base import Message, Model, ToolCall
from sandbox.models.replay_prefix import Handover
from sandbox.runs.fork_source import Fork, Interjection
from sandbox.runs.timestamp_masking import Minutes
from sandbox.runs.trace_normalization import stable
from sandbox.trace.event_types import REPLAYED
from sandbox.trace.events import Event
from sandbox.trace.recorder import Recorder
from sandbox.trace.run_events import Divergence, RunForkEvent

_TELLING = ("kind", "agent", "tool", "status", "text")
"""Fields that are named first if an event differs in several."""
_EXCERPT = 60
"""Characters of a value that a difference shows."""


class ForkReplay:
    """Follows a fork's parent in one run: the gate, the conversations and the model ask it.

    Nothing new happens in a world that is not the recorded one: before the first new reply and the
    first new call, and at every replayed one, what came about is compared with the record.
    """

    def __init__(self, fork: Fork, recorder: Recorder, then: Model) -> None:
        """Follow a parent.

        Args:
            fork: The parent's record, and what is changed.
            recorder: Writes the trace of the fork.
            then: The model that goes on.
        """
        self._fork = fork
        self._recorder = recorder
        self._started = time.time()
        self.model = Handover(fork.model, fork.replies, then)
        """Gives the recorded replies, then the other model's."""
        self._ordered = [item for item in fork.events if item.kind != EventKind.TOOL_LATE]
        self._met = 0
        self._decisions = iter(fork.rulings)
        self._passed = 0
        self._late: list[Any] = []
        self._difference: Divergence | None = None
        self._over = False
        self._inherited = list(fork.interjections)
        self._message = fork.message
        self._placed: list[tuple[str, int, Message]] = []

    @property
    def has_message(self) -> bool:
        """Whether there is a message that nobody has heard yet."""
        return bool(self._message or self._inherited)

    def watch(self, event: Event, data: Any) -> None:
        """Compare an event that has just been recorded with what the parent's trace says."""
        if self._over or event.kind not in REPLAYED:
            return
        told = Minutes(self._started, event.at).hide(stable(event.kind, data))
        if event.kind == EventKind.TOOL_LATE:
            self._late += told["effects"]
        elif self._met < len(self._ordered):
            item = self._ordered[self._met]
            self._met += 1
            found = {"kind": event.kind, "agent": event.agent, **told}
            wanted = {"kind": item.kind, "agent": item.agent, **item.data}
            if found != wanted:
                self._differs(item.seq, event.seq, item.kind, difference(wanted, found))

    def decisions(self, agent: str, call: ToolCall) -> CallDecisions:
        """Return what is settled of the next call; see :class:`sandbox.gate.replayed_decisions.DecisionReplay`.

        Raises:
            ReplayError: The replay did not come out as the record says.
        """
        decisions = next(self._decisions, CallDecisions())
        self._passed += 1
        if decisions.before is None:
            self._point(agent)
        self._check()
        return decisions

    def insert_messages(
        self, agent: str, turn: int, messages: Sequence[Message]
    ) -> Sequence[Message]:
        """Return an agent's messages with those that forks put in; see :class:`sandbox.runs.conversation.ConversationFork`.

        Raises:
            ReplayError: The replay did not come out as the record says.
        """
        place = len(messages)
        for each in [s for s in self._inherited if (s.agent, s.turn) == (agent, turn)]:
            self._inherited.remove(each)
            self._put(each, place)
        if not self.model.replays(agent, turn):
            new = Interjection(agent, turn, self._message)
            self._point(agent, new)
            self.model.hand_over()
            if self._message:
                self._message = ""
                self._put(new, place)
        self._check()
        history = list(messages)
        mine = [(at, message) for who, at, message in self._placed if who == agent]
        for before, (at, message) in enumerate(mine):
            history.insert(at + before, message)
        return history

    def finish(self) -> None:
        """Say how the replay came out, where nothing new has happened.

        Raises:
            ReplayError: It did not come out as the record says.
        """
        self._point("")
        self._check()

    def _put(self, interjection: Interjection, place: int) -> None:
        self._placed.append(
            (interjection.agent, place, {"role": "user", "content": interjection.text})
        )

    def _point(self, agent: str, interjection: Interjection | None = None) -> None:
        """Record, once, that the replayed part is over and how it came out."""
        if self._over:
            return
        if self._difference is None and self._met < len(self._ordered):
            item = self._ordered[self._met]
            self._differs(item.seq, self._recorder.count, item.kind, "it did not come about")
        self._compare_late()
        self._record(agent, interjection)

    def _compare_late(self) -> None:
        """Compare what calls did after they had returned, whenever in the replayed part it was told."""
        late = [item for item in self._fork.events if item.kind == EventKind.TOOL_LATE]
        wanted = Counter(_text(effect) for item in late for effect in item.data["effects"])
        if self._difference is None and wanted != Counter(map(_text, self._late)):
            seq = late[0].seq if late else self._fork.at
            what = "what calls did after they had returned is not the same"
            self._differs(seq, self._recorder.count, EventKind.TOOL_LATE, what)

    def _record(self, agent: str, interjection: Interjection | None = None) -> None:
        self._over = True
        data: RunForkEvent = {
            "parent": self._fork.parent,
            "at": self._fork.at,
            "calls": min(self._passed, sum(r.before is not None for r in self._fork.rulings)),
            "events": self._met,
            "agrees": self._difference is None,
            "difference": self._difference,
        }
        if interjection and interjection.text:
            data |= {"agent": agent, "turn": interjection.turn, "message": interjection.text}
        self._recorder.record(RunForkEvent, agent, **data)

    def _check(self) -> None:
        if self._difference is None or self._fork.anyway:
            return
        if not self._over:
            self._record("")
        raise ReplayError(
            f"the replay does not agree with event {self._difference['event']} of run "
            f"{self._fork.parent} ({self._difference['kind']}): {self._difference['what']}"
        )

    def _differs(self, seq: int, here: int, kind: str, what: str) -> None:
        if self._difference is None:
            self._difference = {"event": seq, "here": here, "kind": kind, "what": what}


def difference(expected: Any, actual: Any, place: str = "") -> str:
    """Return the most telling place in which two values differ, and both values there."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in sorted({*expected, *actual}, key=lambda key: (key not in _TELLING, key)):
            if key not in expected or key not in actual or expected[key] != actual[key]:
                below = f"{place}.{key}" if place else str(key)
                return difference(expected.get(key), actual.get(key), below)
    if isinstance(expected, list) and isinstance(actual, list):
        for index, (one, other) in enumerate(zip(expected, actual, strict=False)):
            if one != other:
                return difference(one, other, f"{place}.{index}")
        if len(expected) != len(actual):
            return f"{place}: {len(expected)} recorded, {len(actual)} now"
    start = _common(expected, actual)
    return f"{place}: recorded {_excerpt(expected, start)}, now {_excerpt(actual, start)}"


def _common(expected: Any, actual: Any) -> int:
    if not (isinstance(expected, str) and isinstance(actual, str)):
        return 0
    same = next((i for i, (a, b) in enumerate(zip(expected, actual, strict=False)) if a != b), 0)
    return max(0, same - _EXCERPT // 3)


def _excerpt(value: Any, start: int) -> str:
    text = json.dumps(value[start:] if isinstance(value, str) else value, ensure_ascii=False)
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
