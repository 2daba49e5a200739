"""One run from start to end: a scenario, a model, a container, a gate, a trace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sandbox.agents.external.program import Outside
from sandbox.agents.teams import AgentMailbox, Member, Team
from sandbox.enums import EffectKind, RunStatus
from sandbox.errors import (
    EnvironmentFault,
    IsolationError,
    ModelError,
    SandboxError,
    StoreError,
    reason,
)
from sandbox.gate.gate import Gate, GateSettings
from sandbox.isolation.base import Container, ContainerSpec
from sandbox.models.base import (
    FunctionTool,
    Message,
    Model,
    function_schema,
    wire_name,
)
from sandbox.models.secrets import scrubber
from sandbox.monitors import expected_calls as known
from sandbox.monitors.judges.usage import total
from sandbox.monitors.rules import scenario_rules
from sandbox.monitors.run_context import RunContext, RunInfo
from sandbox.monitors.verdict import Verdict
from sandbox.runs import run_start
from sandbox.runs.conversation import AgentConversation
from sandbox.runs.external_conversation import ExternalConversation
from sandbox.runs.fork_replay import ForkReplay
from sandbox.runs.limit_meter import Meter
from sandbox.runs.pausable_timeout import Elapsed, Stopwatch
from sandbox.runs.run_plan import Progress, ResultVerdict, RunPlan, RunResult, Watchers
from sandbox.runs.scoring import Ending, Outcome, score
from sandbox.scenario.instance import Instance
from sandbox.trace.call_events import VerdictData
from sandbox.trace.events import Event
from sandbox.trace.model_events import ModelErrorEvent
from sandbox.trace.recorder import Recorder
from sandbox.trace.run_events import (
    ContainerCloseEvent,
    ContainerOpenEvent,
    LimitEvent,
    RunEndEvent,
    RunInterruptedEvent,
    RunScoreEvent,
    RunStartEvent,
)
from sandbox.trace.store import Store
from sandbox.trace.verify import result_digest

if TYPE_CHECKING:
    from sandbox.egress.gateway import Egress

SNAPSHOT_BYTES = 8 * 1024 * 1024
"""Of the agent's files that are read for scoring."""


async def run(plan: RunPlan, store: Store, watchers: Watchers = ()) -> RunResult:
    """Execute one run and store its trace.

    A fault of the environment (container, model) ends the run with task ``error``; it is in the
    result, not raised.

    Args:
        plan: What is to be run.
        store: Where the trace goes.
        watchers: Called with every event as it is recorded.

    Raises:
        TakenError: The plan's place was taken by another run: nothing was begun.
        StoreError: The trace cannot be written: the run is abandoned, its container closed.
    """
    return await Session(plan, store, watchers).execute()


@dataclass
class _World:
    sections: dict[str, object]
    files: dict[str, str] | None
    """None where the container was gone before they could be read."""
    unread: str = ""
    """Why they could not be read."""


class Session:
    """One run. It owns its container, its gate and its recorder."""

    def __init__(self, plan: RunPlan, store: Store, watchers: Watchers) -> None:
        self._plan = plan
        self._store = store
        self.id = secrets.token_hex(6)
        self._started = time.time()
        self._clock = time.monotonic()
        self._replay: ForkReplay | None = None
        self._limits = plan.limits
        self._watchers = watchers
        self._meter = Meter(self._limits)
        instance = plan.instance
        self._expected_calls = known.from_instance(instance)
        labels = {tool.name: tool.labels for tools in instance.tools.values() for tool in tools}
        final = instance.scenario.final_agent if instance.scenario.team else ""
        self._trail = RunContext(
            RunInfo(
                instance.lang,
                instance.scope(),
                instance.canary_values,
                labels,
                self._expected_calls,
                final,
            )
        )
        self._recorder = Recorder(
            store, self.id, scrub=scrubber(os.environ), listeners=(self._hear,)
        )
        self._egress = _egress(plan.instance)
        self._container: Container | None = None
        self._unremoved: str | None = None
        self._gate: Gate | None = None
        self._time = Stopwatch()
        watching = [family for family in plan.families if not family.lacks_model]
        self._watching = {family.name: family.digest for family in watching}
        self._monitors = [monitor for family in watching for monitor in family.monitors]
        self._judges = [judge.for_run() for family in watching for judge in family.judges]
        self._agents: dict[str, AgentConversation] = {}
        self._world: _World | None = None

    def _hear(self, event: Event, data: Any) -> None:
        self._trail.add_event(event.kind, event.agent, data)
        if self._replay is not None:
            self._replay.watch(event, data)
        for watcher in self._watchers:
            watcher(Progress(self.id, event.kind, data))

    async def execute(self) -> RunResult:
        """Run it; see :func:`run`."""
        plan = self._plan
        model = plan.model(plan.instance)
        self._open_trace(model)
        if plan.fork is not None:
            self._replay = ForkReplay(plan.fork, self._recorder, model)
            model = self._replay.model
        scenario = plan.instance.scenario
        try:
            try:
                ending = await self._live(model)
                ending = replace(ending, error=await _fault(self._snapshot()) or ending.error)
            finally:
                await self._close()
            ending = replace(ending, unread=self._world.unread if self._world else "")
            if self._gate is not None and not ending.error:  # judges of whole runs
                ending = replace(ending, error=await _fault(self._gate.judge_run()))
            outcome = await score(
                scenario.score, self._variables(), ending, tuple(scenario.macros.items())
            )
        except asyncio.CancelledError:
            self._mark_interrupted()
            raise
        return self._finish(outcome, ending)

    async def _live(self, model: Model) -> Ending:
        try:
            async with self._time.limit(self._limits.seconds):
                await self._act(model)
        except Elapsed:
            used = round(time.monotonic() - self._clock, 3)
            most = self._limits.seconds
            self._recorder.record(LimitEvent, limit="seconds", used=used, most=most)
            return Ending(limit="seconds")
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever broke, the run ends on the record
            if isinstance(error, ModelError):
                self._recorder.record(ModelErrorEvent, reason=str(error))
            return Ending(error=reason(error))
        return self._ending()

    async def _act(self, model: Model) -> None:
        plan = self._plan
        instance = plan.instance
        self._container = await plan.backend.open(self._container_spec())
        self._recorder.record(ContainerOpenEvent, **self._container.audit.as_data())
        tools = {
            agent: {wire_name(tool.name): tool for tool in granted}
            for agent, granted in instance.tools.items()
        }
        rules = scenario_rules(
            instance.scenario.rules, macros=tuple(instance.scenario.macros.items())
        )
        self._gate = Gate(
            self._container,
            tools,
            (*self._monitors, *self._judges, *rules),
            self._recorder,
            self._trail,
            plan.decider,
            GateSettings(plan.mode, self._limits.call_seconds),
            waiting=self._time.paused,
            replay=self._replay,
            policy=plan.policy,
        )
        outside = isinstance(plan.scaffold, Outside)
        if outside and len(instance.scenario.agents) > 1:
            raise EnvironmentFault(f"scaffold {plan.scaffold.name} drives one agent, and no team")
        # in the scenario's order, which a trace keeps nowhere else
        for agent in instance.scenario.agents:
            conversation = (ExternalConversation if outside else AgentConversation)(
                agent,
                model,
                self._tool_schemas(agent),
                self._gate,
                self._meter,
                self._recorder,
                instance.lang,
                self._replay,
            )
            if isinstance(conversation, ExternalConversation):
                conversation.tools_of_agent = instance.tools[agent]
            self._agents[agent] = conversation
        team = self._team(self._gate)
        await team.run(*instance.scenario.starters)
        if self._replay is not None:
            while self._replay.has_message and not team.over:  # the last words are answered
                await team.run(instance.scenario.final_agent)
            self._replay.finish()

    def _team(self, gate: Gate) -> Team:
        instance, scenario = self._plan.instance, self._plan.instance.scenario
        task: list[Message] = [{"role": "user", "content": instance.task}]
        members = {
            name: Member(
                conversation,
                [
                    {"role": "system", "content": instance.prompt(name)},
                    *(task if name in scenario.starters else []),
                ],
            )
            for name, conversation in self._agents.items()
        }
        mailbox = AgentMailbox(gate.records)
        return Team(
            members, scenario.team, self._plan.scaffold, self._limits.turns, mailbox.collect
        )

    def _tool_schemas(self, agent: str) -> list[FunctionTool]:
        catalogue, lang = self._plan.catalogue, self._plan.tool_lang
        return [
            function_schema(tool.name, *catalogue.in_language(tool, lang))
            for tool in self._plan.instance.tools[agent]
        ]

    def _container_spec(self) -> ContainerSpec:
        instance, catalogue = self._plan.instance, self._plan.catalogue
        granted = {tool.name: tool for tools in instance.tools.values() for tool in tools}
        toolkits = dict.fromkeys(tool.toolkit for tool in granted.values())
        return ContainerSpec(
            run_id=self.id,
            toolkits=tuple(catalogue.toolkit(name) for name in toolkits),
            tools=tuple(tool.guest_data() for tool in granted.values()),
            now=instance.scenario.world.clock,
            lang=instance.lang,
            sections=instance.sections(),
            files=instance.files(),
            bounds=self._plan.bounds,
            call_seconds=self._limits.call_seconds,
            background=instance.scenario.world.background,
            network=self._egress,
        )

    def _ending(self) -> Ending:
        over = next((each for each in self._agents.values() if each.over), None)
        if over is None:
            return Ending()
        return Ending(limit=over.limit, terminated="" if over.limit else over.terminated)

    async def _snapshot(self) -> None:
        if self._container is None:
            return
        try:
            if self._gate is not None:
                await self._gate.collect_late_effects()
            self._world = _World(*await self._container.snapshot(SNAPSHOT_BYTES))
        except IsolationError as error:
            self._world = _World(self._patched(), None, str(error))

    def _patched(self) -> dict[str, object]:
        """Return the world's sections as the recorded effects left them: harm done stays done."""
        import jsonpatch

        sections = self._plan.instance.sections()
        for record in self._gate.records if self._gate else ():
            for effect in record.effects:
                if effect["kind"] == EffectKind.WORLD:
                    jsonpatch.apply_patch(sections, effect["detail"]["patch"], in_place=True)
        return sections

    async def _close(self) -> None:
        if self._container is None:
            return
        closing = asyncio.ensure_future(self._remove(self._container))
        try:
            self._unremoved = await asyncio.shield(closing)
        except asyncio.CancelledError:
            await asyncio.wait({closing})  # nobody waits for it once this task has ended
            raise

    async def _remove(self, container: Container) -> str | None:
        """Close a container; return why it is left, where it is: the next command removes it."""
        try:
            await container.close()
        except (IsolationError, OSError) as error:
            return str(error)
        return None

    def _open_trace(self, model: Model) -> None:
        plan = self._plan
        row = run_start.row_of(self.id, plan, self._started)
        data = run_start.start_data(
            row, plan, model, self._watching, self._judges, self._expected_calls
        )
        self._recorder.record(RunStartEvent, **data)
        self._recorder.begin(row, [plan.slot.claim(self.id)] if plan.slot else ())

    def _finish(self, outcome: Outcome, ending: Ending) -> RunResult:
        self._recorder.record(ContainerCloseEvent, **self._left())
        self._recorder.record(
            RunScoreEvent,
            task=outcome.task,
            safety=outcome.safety,
            conditions=dict(outcome.conditions),
            reason=outcome.reason,
            terminated=ending.terminated,
        )
        result = self._result(outcome)
        self._recorder.record(
            RunEndEvent,
            used=self._meter.used,
            judges={judge.name: judge.usage.as_data() for judge in self._judges},
            result_sha256=result_digest(result.as_data()),
        )
        finished = replace(result, head=self._recorder.head)
        slot = self._plan.slot
        self._recorder.end(
            [slot.fill(self.id, finished)] if slot else (),
            status=RunStatus.FINISHED,
            task=outcome.task,
            safety=outcome.safety,
            result=finished.as_data(),
        )
        return finished

    def _left(self) -> ContainerCloseEvent:
        """Return why the container is left, and effects that are in no result since it broke before."""
        left: ContainerCloseEvent = {"left": self._unremoved} if self._unremoved else {}
        if self._egress is None:
            return left
        self._egress.close()
        effects, dropped = self._egress.drain()
        return {**left, "effects": [*effects], "dropped": dropped} if effects else left

    def _result(self, outcome: Outcome) -> RunResult:
        plan, used = self._plan, self._meter.used
        verdicts = self._gate.verdicts if self._gate else []
        return RunResult(
            id=self.id,
            **run_start.names(plan),
            task=outcome.task,
            safety=outcome.safety,
            verdicts=tuple(self._result_verdict(verdict, event) for event, verdict in verdicts),
            tool_calls=int(used["tool_calls"]),
            tokens=int(used["tokens"]),
            cost_eur=round(used["cost_eur"], 6),
            energy_kwh=self._energy(),
            seconds=round(time.monotonic() - self._clock, 3),
            benign=plan.instance.scenario.benign,
            severity=plan.instance.scenario.risk.severity,
            reason=self._recorder.clean(outcome.reason),
            judges=total(each.usage for each in self._judges).as_data() if self._judges else {},
        )

    def _result_verdict(self, verdict: Verdict, event: int) -> ResultVerdict:
        data: VerdictData = self._recorder.clean(verdict.as_data())
        return {**data, "event": event}

    def _energy(self) -> float | None:
        known = self._meter.used["turns"] and self._meter.energy_kwh is not None
        return round(self._meter.energy_kwh or 0.0, 9) if known else None

    def _variables(self) -> Mapping[str, object]:
        calls = [record.as_data() for record in (self._gate.records if self._gate else ())]
        finals = {name: conversation.final for name, conversation in self._agents.items()}
        world = self._world
        return {
            **({} if world is None else {"world": world.sections}),
            **({} if world is None or world.files is None else {"files": world.files}),
            "initial": self._plan.instance.sections(),
            "calls": calls,
            "effects": [{**e, "tool": c["tool"]} for c in calls for e in c["effects"]],
            "network": self._egress.requests if self._egress else [],
            "final": finals.get(self._plan.instance.scenario.final_agent, ""),
            "finals": finals,
            "canary": self._plan.instance.canaries,
            "lang": self._plan.instance.lang,
        }

    def _mark_interrupted(self) -> None:
        with contextlib.suppress(SandboxError):  # the next command marks it
            self._recorder.record(RunInterruptedEvent, reason="stopped by its user")
            self._recorder.end(status=RunStatus.INTERRUPTED)


async def _fault(work: Awaitable[None]) -> str:
    """Await work; return why it failed, if it did. A broken store is raised: it ends all runs."""
    try:
        await work
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever broke, the run ends on the record
        return reason(error)
    return ""


def _egress(instance: Instance) -> Egress | None:
    network = instance.network()
    if not network:
        return None
    from sandbox.egress.gateway import Egress

    return Egress(network)
