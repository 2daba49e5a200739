"""An imported run as events: the same kinds in the same order as a run of our own, chained alike.

What nobody observed is not there: no containers, no effects, no verdicts, and ``recorded`` is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from sandbox.errors import InputError
from sandbox.interop.importers.imported_run import ImportedMessage, ImportedRun, RequestedCall
from sandbox.interop.importers.tools import tool
from sandbox.scenario.toolkits import Tool
from sandbox.scenario.validation import JsonObject
from sandbox.trace import blobs, events
from sandbox.trace.blobs import Blob
from sandbox.trace.events import FORMAT, GENESIS, Event, canonical
from sandbox.trace.tables import RunRow
from sandbox.trace.verify import result_digest

ISOLATION = "imported"
"""In place of a back end: nobody knows where the calls were executed."""
AGENT = "agent"
_ID = 16
_ROW = ("scenario", "family", "model", "isolation", "mode", "lang", "seed")
_NO_USAGE = {"input_tokens": 0, "output_tokens": 0, "cost_eur": 0.0}
_Content = tuple[str, str, JsonObject, float]
"""Kind, agent, data and time of an event."""


@dataclass(frozen=True)
class ImportedTrace:
    """A run ready to be stored."""

    row: RunRow
    events: list[Event]
    blobs: dict[str, Blob]


def run_id(run: ImportedRun) -> str:
    """Return the id of an imported run: the same record has the same one in every store."""
    return run.sha256[:_ID]


def trace(run: ImportedRun, now: float, known: Callable[[str], bool]) -> ImportedTrace:
    """Return a run as events.

    Args:
        run: The run.
        now: Seconds since the epoch; when it started, if the record does not say.
        known: Returns whether a text, by its hash, is in the store already.

    Raises:
        InputError: A result of a tool answers no call.
    """
    started = run.started if run.started is not None else now
    row = RunRow(
        id=run_id(run),
        scenario=run.scenario,
        family=run.family,
        model=run.model,
        isolation=ISOLATION,
        mode="observe",
        lang=run.lang,
        seed=0,
        status="finished",
        owner="",
        started=started,
        task=run.task,
        safety=None,
        origin=run.origin,
        scaffold="",
    )
    packed: dict[str, Blob] = {}

    def keep(raw: bytes, sha256: str) -> None:
        if sha256 not in packed and not known(sha256):
            packed[sha256] = Blob.of(raw, sha256)

    conversation = _Conversation(run, started)
    contents = list(conversation.events())
    ended = max(started + run.seconds, conversation.at)
    outcome = {"task": run.task, "safety": None, "reason": run.reason, "terminated": ""}
    result = _result(run, row, conversation)
    used = {"used": conversation.used, "result_sha256": result_digest(result)}
    chain: list[Event] = []
    head = GENESIS
    for kind, agent, data, at in (
        ("run.start", "", _start(run, row, conversation.tools()), started),
        *contents,
        ("run.score", "", {**outcome, "conditions": {}}, ended),
        ("run.end", "", used, ended),
    ):
        text = blobs.as_text(data, keep)
        chain.append(events.make(row.id, len(chain), at, kind, agent, text, head))
        head = chain[-1].hash
    row.ended, row.events, row.head = ended, len(chain), head
    row.result = {**result, "head": head}
    return ImportedTrace(row, chain, packed)


class _Conversation:
    """A conversation as events: a call's result follows its intent, as the gate writes them."""

    def __init__(self, run: ImportedRun, started: float) -> None:
        self._run = run
        self._definitions = {tool.function: tool for tool in run.tools}
        self._arguments: dict[str, list[JsonObject]] = {}
        self._unanswered: list[
            tuple[str, RequestedCall]
        ] = []  # beside the ids that the record gives
        self._ids: set[str] = set()
        self.at = started
        self.used = {"turns": 0, "tool_calls": 0, "tokens": 0, "cost_eur": 0.0}

    def events(self) -> Iterator[_Content]:
        """Yield the events of all messages."""
        for number, turn in enumerate(self._run.messages, 1):
            self.at = max(self.at, turn.at or 0.0)
            if turn.role == "tool":
                yield from self._result(turn, number)
                continue
            yield from self._intents()
            if turn.role == "assistant":
                yield "model.reply", AGENT, self._reply(turn), self.at
            else:
                yield "message", AGENT, {"role": turn.role, "content": turn.text}, self.at
        yield from self._intents()

    def tools(self) -> list[Tool]:
        """Return the tools that were defined or called."""
        return [
            tool(self._full(name), name, self._definitions.get(name), self._arguments.get(name, ()))
            for name in dict.fromkeys((*self._definitions, *self._arguments))
        ]

    def _reply(self, turn: ImportedMessage) -> JsonObject:
        number = int(self.used["turns"])
        calls = [self._with_own_id(call, number, i) for i, call in enumerate(turn.calls)]
        usage = {**_NO_USAGE, **turn.usage}
        self.used["turns"] += 1
        self.used["tokens"] += usage["input_tokens"] + usage["output_tokens"]
        self.used["cost_eur"] += usage["cost_eur"]
        self._unanswered = [(a.id, b) for a, b in zip(turn.calls, calls, strict=True)]
        return {
            "turn": number,
            "text": turn.text,
            "calls": [{"id": call.id, "name": call.function} | _arguments(call) for call in calls],
            "finish": "tool_calls" if calls else "stop",
            "model": turn.model or self._run.model,
            "seconds": turn.seconds,
            "usage": {**usage, "price_known": False},
            **({"reasoning": turn.reasoning} if turn.reasoning else {}),
        }

    def _with_own_id(self, call: RequestedCall, turn: int, index: int) -> RequestedCall:
        """Return a call with an id that is its own: records have empty ids, and one id twice."""
        own = call.id
        if not own or own in self._ids:
            own = f"call_{turn}_{index}"
            while own in self._ids:
                own += "_"
        self._ids.add(own)
        return replace(call, id=own)

    def _result(self, turn: ImportedMessage, number: int) -> Iterator[_Content]:
        call = self._answered(turn)
        if call is None:
            raise InputError(f"message {number} is a result, but answers no call")
        yield self._intent(call)
        data: JsonObject = {
            "call": call.id,
            "tool": self._full(call.function),
            "status": "error" if turn.failed else "ok",
            "text": turn.text,
            "effects": [],
            "dropped": 0,
            "recorded": {},
            "seconds": turn.seconds,
        }
        yield "tool.result", AGENT, data, self.at

    def _answered(self, turn: ImportedMessage) -> RequestedCall | None:
        """Return the call that a result answers: by id; if ids are missing, by function or order."""
        calls = list(enumerate(self._unanswered))
        by_id = (i for i, (call_id, _) in calls if turn.answers and call_id == turn.answers)
        by_function = (
            i
            for i, (call_id, call) in calls
            if not (call_id and turn.answers) and turn.function in ("", call.function)
        )
        index = next(by_id, next(by_function, None))
        if index is not None:
            return self._unanswered.pop(index)[1]
        if turn.own is None:
            return None
        turns, index = max(int(self.used["turns"]) - 1, 0), int(self.used["tool_calls"])
        return self._with_own_id(turn.own, turns, index)

    def _intents(self) -> Iterator[_Content]:
        for _, call in self._unanswered:
            yield self._intent(call)
        self._unanswered = []

    def _intent(self, call: RequestedCall) -> _Content:
        self.used["tool_calls"] += 1
        arguments = self._arguments.setdefault(call.function, [])
        if call.arguments is not None:
            arguments.append(call.arguments)
        data = {"call": call.id, "tool": self._full(call.function), **_arguments(call)}
        return "tool.intent", AGENT, data, self.at

    def _full(self, function: str) -> str:
        """Return ``toolkit.function``: the function's own name is the last part."""
        return function if "." in function.strip(".") else f"{self._run.toolkit}.{function}"


def _arguments(call: RequestedCall) -> JsonObject:
    return {"raw": call.raw} if call.arguments is None else {"arguments": call.arguments}


def _start(run: ImportedRun, row: RunRow, tools: list[Tool]) -> JsonObject:
    return {
        "format": FORMAT,
        **{name: getattr(row, name) for name in (*_ROW, "owner", "started")},
        "origin": run.origin,
        "record": {"sha256": run.sha256, "path": run.path},
        "evaluation": dict(run.evaluation),
        "title": {},
        "benign": run.benign,
        "agents": {AGENT: [tool.name for tool in tools]},
        "tools": canonical([tool.as_data() for tool in tools]),
        "limits": {},
        "scope": {"protected": []},
        "canaries": {},
        "decoys": {},
        "monitors": {},
        "rules": [],
        "versions": {},
    }


def _result(run: ImportedRun, row: RunRow, conversation: _Conversation) -> JsonObject:
    used = conversation.used
    return {
        **{name: getattr(row, name) for name in ("id", *_ROW, "task", "safety")},
        "verdicts": [],
        "tool_calls": used["tool_calls"],
        "tokens": used["tokens"],
        "cost_eur": round(used["cost_eur"], 6),
        "energy_kwh": None,
        "seconds": round(run.seconds, 3),
        "benign": run.benign,
        "severity": None,
        "reason": run.reason,
    }
