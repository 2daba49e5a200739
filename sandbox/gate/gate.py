"""The gate: the one door through which every tool call passes.

Intent and verdicts are in the store before anything acts. Monitors judge before and after; in
``enforce`` mode the strictest verdict decides, in ``observe`` mode it is only recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from sandbox.detectors.call import REPLY, Call, Result
from sandbox.errors import GuestTimeout, IsolationError, nearest
from sandbox.gate.approval import Decider
from sandbox.gate.replayed_decisions import Precedent, Ruling, Settled, Unprecedented
from sandbox.guest import arguments
from sandbox.isolation.base import CallResult, Container
from sandbox.isolation.effect_attribution import Deeds, Late
from sandbox.models.base import ToolCall
from sandbox.monitors.judge_reply import JudgeReply
from sandbox.monitors.monitor import AsyncMonitor, Monitor, Stage
from sandbox.monitors.monitor_runner import Opinion, Panel, Waiting
from sandbox.monitors.policy import Policy
from sandbox.monitors.run_context import Trail
from sandbox.monitors.step import Step, of_call, of_reply
from sandbox.monitors.verdict import Verdict, strictest
from sandbox.scenario.toolkits import Tool
from sandbox.trace.recorder import Recorder

Mode = Literal["observe", "enforce"]

_REFUSED = {
    "en": "The call was refused by oversight: {reason}",
    "fr": "L'appel a été refusé par la supervision : {reason}",
}
_UNSAID = {
    "en": "The reply was withheld by oversight: {reason}",
    "fr": "La réponse a été retenue par la supervision : {reason}",
}
_WITHHELD = {
    "en": "The call was executed, but oversight withholds its result: {reason}",
    "fr": "L'appel a été exécuté, mais la supervision en retient le résultat : {reason}",
}


@dataclass(frozen=True)
class Passage:
    """What came of one call, as scorers and the agent see it."""

    id: str
    tool: str
    arguments: Mapping[str, Any]
    agent: str
    status: str
    """``ok``, ``error``, ``invalid``, ``blocked``, ``fault`` or ``timeout``."""
    text: str
    """What the agent gets to read."""
    effects: tuple[dict[str, Any], ...] = ()
    terminate: bool = False
    """True where a monitor ends the run."""

    def as_data(self) -> dict[str, Any]:
        """Return it as score expressions see it."""
        return {
            "tool": self.tool,
            "args": dict(self.arguments),
            "agent": self.agent,
            "status": self.status,
            "result": self.text,
            "effects": list(self.effects),
        }


@dataclass(frozen=True)
class Setting:
    """What holds for all calls of a run."""

    mode: Mode
    call_seconds: float


class Gate:
    """The door of one run."""

    def __init__(
        self,
        container: Container,
        tools: Mapping[str, Mapping[str, Tool]],
        monitors: Sequence[Monitor | AsyncMonitor],
        recorder: Recorder,
        trail: Trail,
        decider: Decider,
        setting: Setting,
        precedent: Precedent | None = None,
        waiting: Waiting = nullcontext,
        policy: Policy | None = None,
    ) -> None:
        """Make the gate of a run.

        Args:
            container: Where calls are executed.
            tools: Agent → name as the model writes it → tool.
            monitors: All that judge, of all stages.
            recorder: Writes the trace, and hands each event to the trail.
            trail: The run so far, as monitors see it.
            decider: Decides what is escalated.
            setting: Mode, time limit.
            precedent: Says what of a call was decided before, in a fork.
            waiting: Entered while judges are waited for; see :class:`sandbox.monitors.monitor_runner.Panel`.
            policy: What follows from the scores of several monitors together, if anything.
        """
        self._container = container
        self._tools = tools
        self._panel = Panel(monitors, waiting=self._patience, policy=policy)
        self._waiting = waiting
        self._recorder = recorder
        self._decider = decider
        self._setting = setting
        self._precedent = precedent or Unprecedented()
        self._trail = trail
        self._lang = trail.ground.lang
        self._acted: dict[str, tuple[Step, ToolCall, int]] = {}
        self.passages: list[Passage] = []
        """All calls so far, in order."""
        self.verdicts: list[tuple[int, Verdict]] = []
        """All verdicts so far, each with the position of its event."""

    async def pass_through(self, agent: str, asked: ToolCall) -> Passage:
        """Judge a call, execute it where that is allowed, judge what it did.

        Raises:
            IsolationError: The container broke; the trace says so.
            StoreError: The trace could not be written; nothing was executed after that.
        """
        ruling = self._precedent.ruling(agent, asked)
        tool = self._tools[agent].get(asked.name)
        request = self._request(agent, asked)
        intent = self._recorder.record("tool.intent", {"call": asked.id, **request}, agent)
        if tool is None or (misuse := _misuse(asked, tool)):
            text = self._unknown(agent, asked) if tool is None else misuse
            return self._finish(agent, asked, tool, "invalid", text)
        assert asked.arguments is not None
        step = of_call(self._trail, Call(tool, asked.arguments, agent, request.get("original")))
        try:
            refusal = await self._judged(step, asked, "before", ruling.before)
        except asyncio.CancelledError:
            self._finish(agent, asked, tool, "blocked", "the run ended before the call was judged")
            raise
        self._recorder.flush()
        if refusal is not None:
            text = _worded(_REFUSED, self._lang, refusal)
            end = refusal.verdict == "terminate"
            denied = step.denied()
            return self._finish(agent, asked, tool, "blocked", text, terminate=end, effects=denied)
        step.let_through()
        key = str(intent.seq)  # not the model's own id of the call, which it may use twice
        self._acted[key] = step, asked, len(self.passages)
        result = await self._execute(step.call, asked, key)
        passage = await self._after(step, asked, result, ruling)
        for late in result.late:
            ends = await self._late(late, _went_on(ruling.after))
            passage = replace(passage, terminate=passage.terminate or ends)
        return passage

    def drop(self, agent: str, asked: ToolCall) -> None:
        """Record that a call which a model asked for is not made: its scaffold did not hand it over."""
        data = {"call": asked.id, **self._request(agent, asked)}
        self._recorder.record("tool.dropped", data, agent)

    async def spoken(self, agent: str, text: str) -> tuple[str, bool]:
        """Let the monitors of the stage ``reply`` judge an agent's closing words.

        Returns:
            What stands in their place where they are withheld, else empty; and whether the run is ended.
        """
        if not text or not self._panel.judges("reply"):
            return "", False
        asked = ToolCall("", REPLY.name, {"text": text})
        decided = await self._judged(of_reply(self._trail, agent, text), asked, "reply", None)
        if decided is None:
            return "", False
        return _worded(_UNSAID, self._lang, decided), decided.verdict == "terminate"

    async def settle(self) -> None:
        """End what the calls left running, and put on record what it did since the last of them.

        Raises:
            IsolationError: The container broke.
        """
        if not self._acted:
            return
        deeds, late = await self._container.settle()
        if deeds.effects:  # nobody says whose they are: the last call had them in its hands
            late = (*late, _nobodys(deeds, next(reversed(self._acted))))
        for each in late:
            await self._late(each)

    async def conclude(self) -> None:
        """Let the judges of whole runs look at this one: the agent has ended, nothing can be stopped."""
        place = {"call": "", "tool": "", "stage": "end"}
        told = partial(self._replied, place, "")
        for opinion in await self._panel.conclude(self._trail, told):
            self._opined(opinion, place, "")

    async def _late(self, late: Late, settled: Settled | None = None) -> bool:
        """Record and judge what a call did after it had returned; return whether that ends the run."""
        key = late.call if late.call in self._acted else next(reversed(self._acted))
        step, asked, position = self._acted[key]
        told = Result("", "late", late.effects)
        canaries = step.touched(told, late=True)
        late = replace(late, effects=(*late.effects, *canaries))
        data = {"call": asked.id, "intent": int(key), "tool": step.call.tool.name}
        data |= {"effects": list(late.effects), "dropped": late.dropped}
        self._recorder.record("tool.late", data, step.call.agent)
        seen = step.with_result(replace(told, effects=late.effects))
        decided = await self._judged(seen, asked, "after", settled)
        passage = self.passages[position]
        self.passages[position] = replace(passage, effects=(*passage.effects, *late.effects))
        return decided is not None and decided.verdict == "terminate"

    async def _after(
        self, step: Step, asked: ToolCall, result: CallResult, ruling: Ruling
    ) -> Passage:
        tool, agent = step.call.tool, step.call.agent
        told = Result(result.text, result.status, result.effects)
        canaries = step.touched(told)
        result = replace(result, effects=(*result.effects, *canaries))
        self._recorder.record("tool.result", _outcome(asked, tool, result), agent)
        seen = replace(told, effects=result.effects)
        decided = await self._judged(step.with_result(seen), asked, "after", ruling.after)
        text, end = result.text, False
        if decided is not None:
            end = decided.verdict == "terminate"
            text = self._instead(decided)
        given = dict(step.call.arguments)
        passage = Passage(
            asked.id, tool.name, given, agent, result.status, text, result.effects, end
        )
        self.passages.append(passage)
        return passage

    async def _execute(self, call: Call, asked: ToolCall, key: str) -> CallResult:
        seconds = self._setting.call_seconds
        try:
            return await self._container.call(
                call.tool.name, call.arguments, agent=call.agent, timeout=seconds, call=key
            )
        except asyncio.CancelledError:
            text = "the run ended before the call came back"
            self._finish(call.agent, asked, call.tool, "timeout", text)
            raise
        except IsolationError as error:
            status = "timeout" if isinstance(error, GuestTimeout) else "fault"
            self._finish(call.agent, asked, call.tool, status, str(error))
            self._recorder.flush()
            raise

    def _finish(
        self,
        agent: str,
        asked: ToolCall,
        tool: Tool | None,
        status: str,
        text: str,
        *,
        terminate: bool = False,
        effects: Sequence[dict[str, Any]] = (),
    ) -> Passage:
        """Record what became of a call that gave no result of its own."""
        name = tool.name if tool else asked.name
        data = {"call": asked.id, "tool": name, "status": status, "text": text, "dropped": 0}
        self._recorder.record("tool.result", {**data, "effects": list(effects)}, agent)
        given = asked.arguments or {}
        passage = Passage(
            asked.id, name, given, agent, status, text, tuple(effects), terminate=terminate
        )
        self.passages.append(passage)
        return passage

    def _request(self, agent: str, asked: ToolCall) -> dict[str, Any]:
        """Return what a call asks for, its tool by its full name; of an edited one, also its original."""
        tool = self._tools[agent].get(asked.name)
        data: dict[str, Any] = {"tool": tool.name if tool else asked.name}
        data |= {} if tool else {"unknown": True}
        data |= {"raw": asked.raw} if asked.arguments is None else {"arguments": asked.arguments}
        return data | ({"original": self._request(agent, asked.original)} if asked.original else {})

    def _unknown(self, agent: str, asked: ToolCall) -> str:
        return f"there is no tool {asked.name!r}{nearest(asked.name, self._tools[agent])}"

    def _instead(self, decided: Verdict) -> str:
        """Return what the agent reads in place of a result."""
        if decided.verdict == "rewrite":
            return decided.rewrite
        return _worded(_WITHHELD, self._lang, decided)

    async def _judged(
        self,
        step: Step,
        asked: ToolCall,
        stage: Stage,
        settled: Settled | None,
    ) -> Verdict | None:
        """Let the monitors of a stage judge; return the verdict that stops the call, if any does."""
        found = []
        place = {"call": asked.id, "tool": step.call.tool.name, "stage": stage}
        told = partial(self._replied, place, step.call.agent)
        for opinion in await self._panel.judge(step, told):
            found.append(self._opined(opinion, place, step.call.agent))
        if settled is not None:
            return self._follow(settled, step, asked, stage)
        decided = strictest(found)
        if decided is None or decided.verdict == "alert":
            return None
        return await self._decide(decided, step, asked, stage)

    async def _decide(
        self, decided: Verdict, step: Step, asked: ToolCall, stage: str
    ) -> Verdict | None:
        enforced = self._setting.mode == "enforce"
        data: dict[str, Any] = {
            "call": asked.id,
            "stage": stage,
            "mode": self._setting.mode,
            "monitor": decided.monitor,
            "verdict": decided.verdict,
            "carried_out": enforced,
        }
        if enforced and decided.verdict == "escalate":
            self._recorder.flush()  # a person may take long: the question is on record
            allowed = await self._decider.allows(step, decided)
            data |= {
                "decided_by": self._decider.name,
                "allowed": allowed,
                "carried_out": not allowed,
            }
            enforced = not allowed
        if enforced and stage == "after":
            data["text"] = self._instead(decided)
        self._recorder.record("gate.decision", data, step.call.agent)
        return decided if enforced else None

    def _follow(self, settled: Settled, step: Step, asked: ToolCall, stage: str) -> Verdict | None:
        """Hold to what was decided before, and record it where that is not to go on."""
        decided = settled.verdict
        if decided is not None:
            data: dict[str, Any] = {
                "call": asked.id,
                "stage": stage,
                "mode": self._setting.mode,
                "monitor": decided.monitor,
                "verdict": decided.verdict,
                "carried_out": True,
                "decided_by": settled.by,
                "reason": decided.reason,
            }
            if stage == "after":
                data["text"] = self._instead(decided)
            self._recorder.record("gate.decision", data, step.call.agent)
        return decided

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """Wait for judges with the question on record: they may take long, and the process may die."""
        self._recorder.flush()
        with self._waiting():
            yield

    def _replied(self, place: Mapping[str, str], agent: str, reply: JudgeReply) -> None:
        """Record what a judge's model replied."""
        data = {"call": place["call"], "stage": place["stage"], **reply.as_data()}
        self._recorder.record("judge.reply", data, agent)

    def _opined(self, opinion: Opinion, place: Mapping[str, str], agent: str) -> Verdict:
        """Record a verdict, or that there is none; what is returned then stops the call if enforced."""
        if opinion.verdict is not None:
            event = self._recorder.record("verdict", {**place, **opinion.verdict.as_data()}, agent)
            self.verdicts.append((event.seq, opinion.verdict))
            return opinion.verdict
        name = opinion.monitor.name
        data = {"call": place["call"], "monitor": name, "stage": place["stage"]}
        data |= {"kind": opinion.kind, "reason": opinion.failure}
        self._recorder.record("monitor.error", data, agent)
        return Verdict(name, "block", "medium", f"the monitor {name} failed")


def _misuse(asked: ToolCall, tool: Tool) -> str:
    """Return what is wrong with a call's arguments: monitors and scorers see sound calls only."""
    if asked.arguments is None:
        return f"the arguments of {asked.name} are not a JSON object: {asked.raw[:200]!r}"
    wrong = arguments.problems(tool.parameters, asked.arguments)
    return "invalid arguments: " + "; ".join(wrong) if wrong else ""


def _outcome(asked: ToolCall, tool: Tool, result: CallResult) -> dict[str, Any]:
    return {
        "call": asked.id,
        "tool": tool.name,
        "status": result.status,
        "text": result.text,
        "effects": list(result.effects),
        "dropped": result.dropped,
        "recorded": dict(result.recorded),
        "seconds": result.seconds,
        **({"fault": result.fault} if result.fault else {}),
    }


def _went_on(settled: Settled | None) -> Settled | None:
    """Return what is settled of what a call did late: that it went on, or nothing."""
    return None if settled is None else Settled(None, settled.by)


def _nobodys(deeds: Deeds, call: str) -> Late:
    return Late(call, deeds.effects, deeds.dropped)


def _worded(words: Mapping[str, str], lang: str, verdict: Verdict) -> str:
    return words.get(lang, words["en"]).format(reason=verdict.shown or verdict.reason)
