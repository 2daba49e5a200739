"""The gate, the reference monitor of a run: the one door through which every tool call passes.

Intent and verdicts are in the store before anything acts. Monitors judge before and after; in
``enforce`` mode the strictest verdict decides, in ``observe`` mode it is only recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import cast

from sandbox.detectors.call import Call, Result
from sandbox.enums import CallStatus, Decision, Mode, MonitorFault, Severity, Stage
from sandbox.errors import GuestTimeout, IsolationError, nearest
from sandbox.gate.approval import Approver
from sandbox.gate.call_record import CallRecord
from sandbox.gate.replayed_decisions import DecisionReplay, NoReplay, ReplayedDecision
from sandbox.guest import arguments
from sandbox.isolation.base import CallResult, Container
from sandbox.isolation.effect_attribution import LateEffects
from sandbox.models.base import ToolCall
from sandbox.monitors.judge_reply import JudgeReply
from sandbox.monitors.monitor import AsyncMonitor, Monitor
from sandbox.monitors.monitor_runner import ClockPause, MonitorResult, MonitorRunner
from sandbox.monitors.policy import Policy
from sandbox.monitors.run_context import RunContext
from sandbox.monitors.step import (
    Step,
    canary_effects,
    of_call,
    of_reply,
    record_execution,
    refusal_effects,
)
from sandbox.monitors.verdict import Verdict, strictest
from sandbox.scenario.stages import SUBJECTS
from sandbox.scenario.toolkits import Tool
from sandbox.trace.call_events import (
    CallRequest,
    GateDecisionEvent,
    JudgedStage,
    JudgeReplyEvent,
    MonitorErrorEvent,
    ToolDroppedEvent,
    ToolIntentEvent,
    ToolLateEvent,
    ToolResultEvent,
    VerdictEvent,
)
from sandbox.trace.effects import Effect
from sandbox.trace.recorder import Recorder

Tools = Mapping[str, Mapping[str, Tool]]
"""Agent → name as the model writes it → tool."""

_REFUSED = {
    "en": "The call was refused by oversight: {reason}",
    "fr": "L'appel a été refusé par la supervision : {reason}",
}
_WITHHELD_REPLY = {
    "en": "The reply was withheld by oversight: {reason}",
    "fr": "La réponse a été retenue par la supervision : {reason}",
}
_WITHHELD = {
    "en": "The call was executed, but oversight withholds its result: {reason}",
    "fr": "L'appel a été exécuté, mais la supervision en retient le résultat : {reason}",
}


@dataclass(frozen=True)
class GateSettings:
    """What holds for all calls of a run."""

    mode: Mode
    call_seconds: float


@dataclass(frozen=True)
class _Subject:
    """What is judged, as events name it."""

    call: str
    """The model's id of the call; empty for closing words and whole runs."""
    tool: str
    stage: Stage
    agent: str

    def as_data(self) -> JudgedStage:
        return {"call": self.call, "tool": self.tool, "stage": self.stage}


class Gate:
    """The door of one run."""

    def __init__(
        self,
        container: Container,
        tools: Tools,
        monitors: Sequence[Monitor | AsyncMonitor],
        recorder: Recorder,
        context: RunContext,
        approver: Approver,
        settings: GateSettings,
        replay: DecisionReplay | None = None,
        waiting: ClockPause = nullcontext,
        policy: Policy | None = None,
    ) -> None:
        """Make the gate of a run.

        Args:
            container: Where calls are executed.
            tools: What each agent may call.
            monitors: All that judge, of all stages.
            recorder: Writes the trace, and hands each event to the run's context.
            context: The run so far, as monitors see it.
            approver: Decides what is escalated.
            settings: Mode, time limit.
            replay: In a fork, what was decided of each call before.
            waiting: Entered while judges are waited for; see :class:`sandbox.monitors.monitor_runner.MonitorRunner`.
            policy: What follows from the scores of several monitors together, if anything.
        """
        self._container = container
        self._tools = tools
        self._runner = MonitorRunner(monitors, waiting=self._pause_clock, policy=policy)
        self._waiting = waiting
        self._recorder = recorder
        self._approver = approver
        self._settings = settings
        self._replay = replay or NoReplay()
        self._context = context
        self._executed: dict[str, CallRecord] = {}
        self.records: list[CallRecord] = []
        """All calls so far, in order."""
        self.verdicts: list[tuple[int, Verdict]] = []
        """All verdicts so far, each with the position of its event."""

    async def mediate(self, agent: str, asked: ToolCall) -> CallRecord:
        """Judge a call, execute it where that is allowed, judge what it did.

        Raises:
            IsolationError: The container broke; the trace says so.
            StoreError: The trace could not be written; nothing was executed after that.
        """
        replayed = self._replay.decisions(agent, asked)
        tool = self._tools[agent].get(asked.name)
        request = self._request(agent, asked)
        data = cast("ToolIntentEvent", {"call": asked.id, **request})
        if asked.original:
            data["original"] = self._request(agent, asked.original)
        intent = self._recorder.record(ToolIntentEvent, agent, **data)
        record = CallRecord(intent.seq, asked.id, request["tool"], asked.arguments or {}, agent)
        if tool is None or (misuse := _misuse(asked, tool)):
            text = self._unknown(agent, asked) if tool is None else misuse
            return self._finish(record, CallStatus.INVALID, text)
        call = Call(tool, record.arguments, agent, data.get("original"))
        record.step = step = of_call(self._context, call)
        try:
            refusal = await self._judge(step, asked.id, replayed.before)
        except asyncio.CancelledError:
            text = "the run ended before the call was judged"
            self._finish(record, CallStatus.BLOCKED, text)
            raise
        self._recorder.flush()
        if refusal is not None:
            record.terminate = refusal.verdict == Decision.TERMINATE
            text = self._phrase(_REFUSED, refusal)
            return self._finish(record, CallStatus.BLOCKED, text, refusal_effects(step))
        return await self._execute(record, step, replayed.after)

    def drop(self, agent: str, request: ToolCall) -> None:
        """Record that a call which a model asked for is not made: its scaffold did not hand it over."""
        data = self._request(agent, request)
        self._recorder.record(ToolDroppedEvent, agent, call=request.id, **data)

    async def mediate_reply(self, agent: str, text: str) -> tuple[str, bool]:
        """Let the monitors of the stage ``reply`` judge an agent's closing words.

        Returns:
            What stands in their place where they are withheld, else empty; and whether the run is ended.
        """
        if not text or not self._runner.has(Stage.REPLY):
            return "", False
        verdict = await self._judge(of_reply(self._context, agent, text), "")
        if verdict is None:
            return "", False
        return self._phrase(_WITHHELD_REPLY, verdict), verdict.verdict == Decision.TERMINATE

    async def collect_late_effects(self) -> None:
        """End what the calls left running, and put on record what it did since the last of them.

        Raises:
            IsolationError: The container broke.
        """
        if not self._executed:
            return
        deeds, late = await self._container.settle()
        if deeds.effects:  # nobody says whose they are: the last call had them in its hands
            late = (
                *late,
                LateEffects(next(reversed(self._executed)), deeds.effects, deeds.dropped),
            )
        for each in late:
            await self._record_late(each)

    async def judge_run(self) -> None:
        """Let the judges of whole runs look at this one: the agent has ended, nothing can be stopped."""
        subject = _Subject("", "", Stage.END, "")
        for result in await self._runner.judge_run(
            self._context, partial(self._record_reply, subject)
        ):
            self._record_result(result, subject)

    async def _execute(
        self, record: CallRecord, step: Step, replayed: ReplayedDecision | None
    ) -> CallRecord:
        """Execute a call, and judge what it did and what earlier calls did meanwhile."""
        record_execution(step)
        self._executed[str(record.call_id)] = record
        result = await self._call(record, step.call)
        canaries = canary_effects(step, Result(result.text, result.status, result.effects))
        record.effects = (*result.effects, *canaries)
        self._recorder.record(ToolResultEvent, record.agent, **_outcome(record, result))
        after = step.with_result(Result(result.text, result.status, record.effects))
        verdict = await self._judge(after, record.model_id, replayed)
        record.status, record.text = result.status, result.text
        if verdict is not None:
            record.text = self._replacement(verdict)
            record.terminate = verdict.verdict == Decision.TERMINATE
        self.records.append(record)
        settled = None if replayed is None else ReplayedDecision(None, replayed.by)
        for late in result.late:
            record.terminate |= await self._record_late(late, settled)
        return record

    async def _call(self, record: CallRecord, call: Call) -> CallResult:
        seconds, key = self._settings.call_seconds, str(record.call_id)
        try:
            return await self._container.call(
                call.tool.name, call.arguments, agent=call.agent, timeout=seconds, call=key
            )
        except asyncio.CancelledError:
            self._finish(record, CallStatus.TIMEOUT, "the run ended before the call came back")
            raise
        except IsolationError as error:
            late = isinstance(error, GuestTimeout)
            status = CallStatus.TIMEOUT if late else CallStatus.FAULT
            self._finish(record, status, str(error))
            self._recorder.flush()
            raise

    async def _record_late(
        self, late: LateEffects, replayed: ReplayedDecision | None = None
    ) -> bool:
        """Record and judge what a call did after it had returned; return whether that ends the run."""
        key = late.call if late.call in self._executed else next(reversed(self._executed))
        record = self._executed[key]
        step = record.step
        assert step is not None
        canaries = canary_effects(step, Result("", CallStatus.LATE, late.effects), late=True)
        effects = (*late.effects, *canaries)
        self._recorder.record(
            ToolLateEvent,
            record.agent,
            call=record.model_id,
            intent=record.call_id,
            tool=record.tool,
            effects=list(effects),
            dropped=late.dropped,
        )
        after = step.with_result(Result("", CallStatus.LATE, effects))
        verdict = await self._judge(after, record.model_id, replayed)
        record.effects = (*record.effects, *effects)
        return verdict is not None and verdict.verdict == Decision.TERMINATE

    def _finish(
        self, record: CallRecord, status: CallStatus, text: str, effects: Sequence[Effect] = ()
    ) -> CallRecord:
        """Record what became of a call that gave no result of its own."""
        record.status, record.text, record.effects = status, text, tuple(effects)
        self._recorder.record(
            ToolResultEvent,
            record.agent,
            call=record.model_id,
            tool=record.tool,
            status=status,
            text=text,
            effects=list(effects),
            dropped=0,
        )
        self.records.append(record)
        return record

    def _request(self, agent: str, request: ToolCall) -> CallRequest:
        """Return what a call asks for, its tool by its full name."""
        tool = self._tools[agent].get(request.name)
        data: CallRequest = {"tool": tool.name if tool else request.name}
        if tool is None:
            data["unknown"] = True
        if request.arguments is None:
            return {**data, "raw": request.raw}
        return {**data, "arguments": request.arguments}

    def _unknown(self, agent: str, request: ToolCall) -> str:
        return f"there is no tool {request.name!r}{nearest(request.name, self._tools[agent])}"

    def _replacement(self, verdict: Verdict) -> str:
        """Return what the agent reads in place of a result."""
        if verdict.verdict == Decision.REWRITE:
            return verdict.rewrite
        return self._phrase(_WITHHELD, verdict)

    def _phrase(self, phrases: Mapping[str, str], verdict: Verdict) -> str:
        phrase = phrases.get(self._context.info.lang, phrases["en"])
        return phrase.format(reason=verdict.shown or verdict.reason)

    async def _judge(
        self, step: Step, model_id: str, replayed: ReplayedDecision | None = None
    ) -> Verdict | None:
        """Let the monitors of a step's stage judge; return the verdict that stops the call, if any does.

        Args:
            step: What is judged.
            model_id: The model's id of the call.
            replayed: What was decided before: monitors look on, and that is held to.
        """
        call = step.call
        subject = _Subject(model_id, call.tool.name, step.stage, call.agent)
        results = await self._runner.judge(step, partial(self._record_reply, subject))
        verdicts = [self._record_result(result, subject) for result in results]
        if replayed is not None:
            if (verdict := replayed.verdict) is not None:
                data = self._decision(subject, verdict, carried_out=True)
                data |= {"decided_by": replayed.by, "reason": verdict.reason}
                self._recorder.record(GateDecisionEvent, subject.agent, **data)
            return verdict
        verdict = strictest(verdicts)
        if verdict is None or verdict.verdict == Decision.ALERT:
            return None
        return verdict if await self._enforce(verdict, step, subject) else None

    async def _enforce(self, verdict: Verdict, step: Step, subject: _Subject) -> bool:
        """Return whether a verdict is carried out, and record that."""
        enforced = self._settings.mode == Mode.ENFORCE
        escalated = enforced and verdict.verdict == Decision.ESCALATE
        if escalated:
            self._recorder.flush()  # a person may take long: the question is on record
            enforced = not await self._approver.approve(step, verdict)
        data = self._decision(subject, verdict, carried_out=enforced)
        if escalated:
            data |= {"decided_by": self._approver.name, "allowed": not enforced}
        self._recorder.record(GateDecisionEvent, subject.agent, **data)
        return enforced

    def _decision(
        self, subject: _Subject, verdict: Verdict, *, carried_out: bool
    ) -> GateDecisionEvent:
        data: GateDecisionEvent = {
            "call": subject.call,
            "stage": subject.stage,
            "mode": self._settings.mode,
            "monitor": verdict.monitor,
            "verdict": verdict.verdict,
            "carried_out": carried_out,
        }
        if carried_out and SUBJECTS[subject.stage] == "result":
            data["text"] = self._replacement(verdict)
        return data

    @contextmanager
    def _pause_clock(self) -> Iterator[None]:
        """Wait for judges with the question on record: they may take long, and the process may die."""
        self._recorder.flush()
        with self._waiting():
            yield

    def _record_reply(self, subject: _Subject, reply: JudgeReply) -> None:
        """Record what a judge's model replied."""
        self._recorder.record(
            JudgeReplyEvent,
            subject.agent,
            call=subject.call,
            stage=subject.stage,
            **reply.as_data(),
        )

    def _record_result(self, result: MonitorResult, subject: _Subject) -> Verdict:
        """Record a verdict, or that there is none; what is returned then stops the call if enforced."""
        if result.verdict is not None:
            event = self._recorder.record(
                VerdictEvent, subject.agent, **subject.as_data(), **result.verdict.as_data()
            )
            self.verdicts.append((event.seq, result.verdict))
            return result.verdict
        name = result.monitor.name
        self._recorder.record(
            MonitorErrorEvent,
            subject.agent,
            call=subject.call,
            monitor=name,
            stage=subject.stage,
            kind=result.kind or MonitorFault.ERROR,
            reason=result.failure,
        )
        return Verdict(name, Decision.BLOCK, Severity.MEDIUM, f"the monitor {name} failed")


def _misuse(request: ToolCall, tool: Tool) -> str:
    """Return what is wrong with a call's arguments: monitors and scorers see sound calls only."""
    if request.arguments is None:
        return f"the arguments of {request.name} are not a JSON object: {request.raw[:200]!r}"
    wrong = arguments.problems(tool.parameters, request.arguments)
    return "invalid arguments: " + "; ".join(wrong) if wrong else ""


def _outcome(record: CallRecord, result: CallResult) -> ToolResultEvent:
    data: ToolResultEvent = {
        "call": record.model_id,
        "tool": record.tool,
        "status": result.status,
        "text": result.text,
        "effects": list(record.effects),
        "dropped": result.dropped,
        "recorded": dict(result.recorded),
        "seconds": result.seconds,
    }
    return {**data, "fault": result.fault} if result.fault else data
