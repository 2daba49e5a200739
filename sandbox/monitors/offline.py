"""A stored trace, step by step: monitors are asked again, with what they would have seen live."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.detectors.call import Call, Result
from sandbox.enums import CallStatus, EffectKind, EventKind
from sandbox.guest import arguments
from sandbox.monitors import expected_calls
from sandbox.monitors.monitor import AsyncMonitor, Monitor
from sandbox.monitors.monitor_runner import MonitorResult, MonitorRunner
from sandbox.monitors.policy import Policy
from sandbox.monitors.rules import scenario_rules
from sandbox.monitors.run_context import RunContext, RunInfo
from sandbox.monitors.step import Step, canary_effects, of_call, of_reply, record_execution
from sandbox.scenario.canaries import CanaryValue
from sandbox.scenario.schema import Rule
from sandbox.scenario.toolkits import Tool
from sandbox.scenario.topology import final_agent
from sandbox.trace.call_events import ToolIntentEvent, ToolLateEvent, ToolResultEvent
from sandbox.trace.events import Event, EventContent
from sandbox.trace.model_events import ModelReplyEvent
from sandbox.trace.run_events import RunStartEvent

_NOT_EXECUTED = (CallStatus.BLOCKED, CallStatus.INVALID)


@dataclass(frozen=True)
class StoredStep:
    """One step of a stored run."""

    event: Event
    """The intent, result, late effects or reply that it comes from."""
    data: Any
    """Its data."""
    step: Step


def run_info(start: RunStartEvent) -> RunInfo:
    """Return what holds for a run, from the data of its ``run.start``."""
    planted = start.get("decoys", {})
    canaries = {}
    for name, value in start.get("canaries", {}).items():
        seen = planted.get(name, {"marks": [value], "path": ""})
        marks = tuple(seen["marks"])
        canaries[name] = CanaryValue(value, marks, path=seen["path"], planted=name in planted)
    told = expected_calls.from_text(start.get("plan", ""), tools(start))
    labels = {name: tool.labels for name, tool in tools(start).items()}
    scope = start.get("scope", {"protected": []})
    said = final_agent(start["team"], start["order"]) if start.get("team") else ""
    return RunInfo(start["lang"], scope, canaries, labels, told, said)


def tools(start: RunStartEvent) -> dict[str, Tool]:
    """Return the tools of a run by name, from the data of its ``run.start``."""
    return {item["name"]: Tool.from_data(item) for item in json.loads(start.get("tools", "[]"))}


def rules(start: RunStartEvent) -> tuple[Monitor, ...]:
    """Return the rules that a run's scenario brought itself, from the data of its ``run.start``."""
    definition = json.loads(start.get("scenario_text") or "{}").get("definition", {})
    given = [
        {key: value for key, value in item.items() if value != {}}  # texts that were left out
        for item in definition.get("rules", ())
    ]
    found = [Rule.model_validate(item) for item in given]
    return scenario_rules(found, macros=tuple(definition.get("macros", {}).items()))


def steps(events: Iterable[EventContent]) -> Iterator[StoredStep]:
    """Yield every step on which monitors are asked, in the order of the live run.

    Args:
        events: The run's events in order from its first, each with its data, large texts in place.
    """
    context, known, imported = RunContext(RunInfo()), dict[str, Tool](), False
    acted: dict[int, Step] = {}
    last: dict[str, tuple[int, Step]] = {}  # agent → its call that waits for a result
    for event, data in events:
        if event.kind == EventKind.RUN_START:
            context, known = RunContext(run_info(data)), tools(data)
            imported = bool(data.get("origin"))
        if event.kind == EventKind.TOOL_RESULT:
            number, step = last.pop(event.agent, (-1, None))
            if step is None or data["status"] in _NOT_EXECUTED:
                context.add_event(event.kind, event.agent, data)
                continue
            record_execution(step)
            acted[number] = step
            seen, told = _results(data, str(data["text"]), data["status"])
            canary_effects(step, told)
            context.add_event(event.kind, event.agent, data)
            if "recorded" in data:  # otherwise the container broke, and nobody was asked
                yield StoredStep(event, data, step.with_result(seen))
            continue
        context.add_event(event.kind, event.agent, data)
        if event.kind == EventKind.TOOL_INTENT and (
            call := _call(event, data, known, imported=imported)
        ):
            last[event.agent] = event.seq, of_call(context, call)
            yield StoredStep(event, data, last[event.agent][1])
        elif event.kind == EventKind.MODEL_REPLY and _closing(data):
            yield StoredStep(event, data, of_reply(context, event.agent, str(data["text"])))
        elif event.kind == EventKind.TOOL_LATE and data.get("intent") in acted:
            step = acted[data["intent"]]
            seen, told = _results(data, "", CallStatus.LATE)
            canary_effects(step, told, late=True)
            yield StoredStep(event, data, step.with_result(seen))


def _closing(reply: ModelReplyEvent) -> bool:
    """Return whether a reply is the agent's closing words: a plan is followed by calls."""
    return bool(reply["text"]) and not reply["calls"] and not reply.get("words_only")


async def review(
    events: Iterable[EventContent],
    monitors: Sequence[Monitor | AsyncMonitor],
    policy: Policy | None = None,
) -> list[tuple[StoredStep, MonitorResult]]:
    """Return all that monitors have to say of a stored run, and what a policy makes of it."""
    runner = MonitorRunner(monitors, policy=policy)
    found = []
    for asked in steps(events):
        found += [(asked, result) for result in await runner.judge(asked.step)]
    return found


def run_context(events: Iterable[EventContent]) -> RunContext:
    """Return a stored run as judges of whole runs see it at its end."""
    context = RunContext(RunInfo())
    for event, data in events:
        if event.kind == EventKind.RUN_START:
            context = RunContext(run_info(data))
        context.add_event(event.kind, event.agent, data)
    return context


def _call(
    event: Event, data: ToolIntentEvent, known: Mapping[str, Tool], *, imported: bool
) -> Call | None:
    """Return the call that an intent asks for, where monitors were asked about it.

    Whether the arguments of an imported call were sound was decided by the program that ran it.
    """
    tool = None if data.get("unknown") else known.get(data["tool"])
    given = data.get("arguments")
    if tool is None or given is None:
        return None
    if not imported and arguments.problems(tool.parameters, given):
        return None
    return Call(tool, given, event.agent, data.get("original"))


def _results(
    data: ToolResultEvent | ToolLateEvent, text: str, status: CallStatus
) -> tuple[Result, Result]:
    """Return a result as monitors saw it, and as the guest gave it: without effects on canaries."""
    effects = tuple(data["effects"])
    told = tuple(effect for effect in effects if effect["kind"] != EffectKind.CANARY)
    return Result(text, status, effects), Result(text, status, told)
