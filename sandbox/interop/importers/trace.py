"""An imported run as events: the same kinds in the same order as a run of our own, chained alike.

What nobody observed is not there: no containers, no effects, no verdicts, and ``recorded`` is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.errors import InputError
from sandbox.interop.importers.imported_run import Asked, ImportedRun, Turn
from sandbox.interop.importers.tools import tool
from sandbox.scenario.toolkits import Tool
from sandbox.trace import blobs, events
from sandbox.trace.blobs import Blob
from sandbox.trace.events import FORMAT, GENESIS, Event, canonical
from sandbox.trace.tables import RunRow
from sandbox.trace.verify import result_digest

ISOLATION = "imported"
"""In place of a back end: nobody knows where the calls were executed."""
AGENT = "agent"
_ID = 16
_Told = tuple[str, str, dict[str, Any], float]


@dataclass(frozen=True)
class Trace:
    """A run ready to be stored."""

    row: RunRow
    events: list[Event]
    blobs: dict[str, Blob]


def run_id(run: ImportedRun) -> str:
    """Return the id of an imported run: the same record has the same one in every store."""
    return run.sha256[:_ID]


def trace(run: ImportedRun, now: float, known: Callable[[str], bool]) -> Trace:
    """Return a run as events.

    Args:
        run: The run.
        now: Seconds since the epoch; when it started, where the record does not say.
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

    chain: list[Event] = []
    head = GENESIS

    def add(kind: str, agent: str, data: dict[str, Any], at: float) -> None:
        nonlocal head
        text = blobs.as_text(data, keep)
        chain.append(events.make(row.id, len(chain), at, kind, agent, text, head))
        head = chain[-1].hash

    story = _Story(run, started)
    told = list(story.tell())
    add("run.start", "", _start(run, row, story.tools()), started)
    for kind, agent, data, at in told:
        add(kind, agent, data, at)
    ended = max(started + run.seconds, story.at)
    outcome = {"task": run.task, "safety": None, "reason": run.reason, "terminated": ""}
    add("run.score", "", {**outcome, "conditions": {}}, ended)
    result = _result(run, row, story)
    add("run.end", "", {"used": story.used, "result_sha256": result_digest(result)}, ended)
    row.ended, row.events, row.head = ended, len(chain), head
    row.result = {**result, "head": head}
    return Trace(row, chain, packed)


class _Story:
    """Tells a conversation as events: a call's result follows its intent, as the gate writes them."""

    def __init__(self, run: ImportedRun, started: float) -> None:
        self._run = run
        self._given = {tool.function: tool for tool in run.tools}
        self._asked: dict[str, list[dict[str, Any]]] = {}
        self._waiting: list[tuple[str, Asked]] = []  # beside the ids that the record gives them
        self._ids: set[str] = set()
        self.at = started
        self.used: dict[str, Any] = {"turns": 0, "tool_calls": 0, "tokens": 0, "cost_eur": 0.0}

    def tell(self) -> Iterator[_Told]:
        for number, turn in enumerate(self._run.turns, 1):
            self.at = max(self.at, turn.at or 0.0)
            if turn.role == "tool":
                yield from self._result(turn, number)
                continue
            yield from self._unanswered()
            if turn.role == "assistant":
                yield from self._reply(turn)
            else:
                yield "message", AGENT, {"role": turn.role, "content": turn.text}, self.at
        yield from self._unanswered()

    def tools(self) -> list[Tool]:
        """Return the tools that were defined or called."""
        names = dict.fromkeys((*self._given, *self._asked))
        return [
            tool(self._full(name), name, self._given.get(name), self._asked.get(name, ()))
            for name in names
        ]

    def _reply(self, turn: Turn) -> Iterator[_Told]:
        number = self.used["turns"]
        asked = [self._named(call, number, i) for i, call in enumerate(turn.calls)]
        usage: dict[str, Any] = {
            "input_tokens": 0,
            "output_tokens": 0,
            "cost_eur": 0.0,
            "price_known": False,
        }
        usage |= turn.usage
        data: dict[str, Any] = {
            "turn": number,
            "text": turn.text,
            "calls": [{"id": call.id, "name": call.function} | _arguments(call) for call in asked],
            "finish": "tool_calls" if asked else "stop",
            "model": turn.model or self._run.model,
            "seconds": turn.seconds,
            "usage": usage,
            **({"reasoning": turn.reasoning} if turn.reasoning else {}),
        }
        self.used["turns"] += 1
        self.used["tokens"] += usage["input_tokens"] + usage["output_tokens"]
        self.used["cost_eur"] += usage["cost_eur"]
        self._waiting = [(a.id, b) for a, b in zip(turn.calls, asked, strict=True)]
        yield "model.reply", AGENT, data, self.at

    def _named(self, call: Asked, turn: int, index: int) -> Asked:
        """Return a call with an id that is its own: records have empty ids, and one id twice."""
        found = call.id
        if not found or found in self._ids:
            found = f"call_{turn}_{index}"
            while found in self._ids:
                found += "_"
        self._ids.add(found)
        return Asked(found, call.function, call.arguments, call.raw)

    def _result(self, turn: Turn, number: int) -> Iterator[_Told]:
        call = self._answered(turn)
        if call is None:
            raise InputError(f"message {number} is a result, but answers no call")
        yield self._intent(call)
        data: dict[str, Any] = {
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

    def _answered(self, turn: Turn) -> Asked | None:
        """Return the call that a result answers: by id; where ids are missing, by function or order."""
        for index, (call_id, call) in enumerate(self._waiting):
            if turn.answers and call_id == turn.answers:
                return self._take(index, call)
        for index, (call_id, call) in enumerate(self._waiting):
            unsure = not call_id or not turn.answers
            if unsure and turn.function in ("", call.function):
                return self._take(index, call)
        if turn.own is None:
            return None
        return self._named(turn.own, max(self.used["turns"] - 1, 0), self.used["tool_calls"])

    def _take(self, index: int, call: Asked) -> Asked:
        del self._waiting[index]
        return call

    def _unanswered(self) -> Iterator[_Told]:
        for _, call in self._waiting:
            yield self._intent(call)
        self._waiting = []

    def _intent(self, call: Asked) -> _Told:
        self.used["tool_calls"] += 1
        asked = self._asked.setdefault(call.function, [])
        if call.arguments is not None:
            asked.append(call.arguments)
        data = {"call": call.id, "tool": self._full(call.function), **_arguments(call)}
        return "tool.intent", AGENT, data, self.at

    def _full(self, function: str) -> str:
        """Return ``toolkit.function``: the function's own name is the last part."""
        return function if "." in function.strip(".") else f"{self._run.toolkit}.{function}"


def _arguments(call: Asked) -> dict[str, Any]:
    return {"raw": call.raw} if call.arguments is None else {"arguments": call.arguments}


def _start(run: ImportedRun, row: RunRow, tools: list[Tool]) -> dict[str, Any]:
    same = ("scenario", "family", "model", "isolation", "mode", "lang", "seed", "owner", "started")
    return {
        "format": FORMAT,
        **{name: getattr(row, name) for name in same},
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


def _result(run: ImportedRun, row: RunRow, story: _Story) -> dict[str, Any]:
    used = story.used
    return {
        "id": row.id,
        "scenario": row.scenario,
        "family": row.family,
        "model": row.model,
        "isolation": row.isolation,
        "mode": row.mode,
        "lang": row.lang,
        "seed": row.seed,
        "task": row.task,
        "safety": row.safety,
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
