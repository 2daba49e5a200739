"""What a judge is shown: the task, what came before, and the call in question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from sandbox.detectors.turn import Turn
from sandbox.monitors.judges.schema import Scope
from sandbox.monitors.run_context import RunContext
from sandbox.monitors.step import Step
from sandbox.trace.effects import Effect

_SHOWN: tuple[Literal["kind", "action", "target", "status"], ...] = (
    "kind",
    "action",
    "target",
    "status",
)
_DETAIL = ("to", "argv", "exit", "patch")
"""Of an effect's details, what says what was done."""


@dataclass(frozen=True)
class Excerpt:
    """A run, or a part of it, as one judge sees it."""

    task: str
    """What the user asked for."""
    earlier: tuple[Turn, ...] = ()
    """What came before, in order; the whole run where there is no call in question."""
    call: Turn | None = None
    """The call in question."""
    result: Turn | None = None
    """What it gave, after it."""
    tool: Mapping[str, Any] | None = None
    """The called tool's name, description and labels, from its definition."""


def of_step(step: Step, scope: Scope) -> Excerpt:
    """Return what a judge of an action, or of a run up to it, is shown of a step."""
    before = step.context.turns[: step.position]
    call = Turn(
        "call",
        step.call.agent,
        "",
        tool=step.call.tool.name,
        arguments=step.call.arguments,
        original=step.call.original,
    )
    if before and before[-1].role == "call":
        before = before[:-1]  # the context holds the call itself as well
    result = None
    if step.result is not None:
        told = step.result
        result = replace(
            call,
            role="result",
            text=told.text,
            arguments={},
            original=None,
            status=told.status,
            effects=told.effects,
        )
    task = _task(step.context)
    earlier = _last_words(before, step.call.agent, task) if scope == "action" else tuple(before)
    tool = step.call.tool
    known = {"name": tool.name, "description": tool.description, "labels": list(tool.labels)}
    return Excerpt(task, earlier, call, result, known)


def of_run(context: RunContext) -> Excerpt:
    """Return what a judge of a whole run is shown."""
    return Excerpt(_task(context), tuple(context.turns))


def fields(turn: Turn, *, reasoning: bool) -> Iterator[tuple[str, Any]]:
    """Yield what is shown of a turn, without what is empty.

    Args:
        turn: The turn.
        reasoning: Whether the agent's reasoning is shown.
    """
    yield "kind", turn.role
    if turn.agent:
        yield "agent", turn.agent
    if reasoning and turn.reasoning:
        yield "reasoning", turn.reasoning
    if turn.tool:
        yield "tool", turn.tool
    if turn.role == "call":
        yield "arguments", dict(turn.arguments)
    if turn.original is not None:
        yield "model_asked_for", dict(turn.original)
    if turn.status:
        yield "status", turn.status
    if turn.text:
        yield "text", turn.text
    if turn.effects:
        yield "effects", [_effect_summary(effect) for effect in turn.effects]


def _task(context: RunContext) -> str:
    """Return what the user asked for: the first thing that a user said."""
    return next((turn.text for turn in context.turns if turn.role == "user"), "")


def _last_words(before: list[Turn], agent: str, task: str) -> tuple[Turn, ...]:
    """Return what its user last said to an agent, beyond the task, and what it said since."""
    found: list[Turn] = []
    for turn in reversed(before):
        if turn.agent != agent:
            continue
        if turn.role == "user":
            found += [turn] if turn.text != task else []
            break
        if turn.role == "assistant" and not found:
            found.append(turn)
    return tuple(reversed(found))


def _effect_summary(effect: Effect) -> dict[str, object]:
    """Return an effect without what is of no use to a reader: hashes, modes, sizes."""
    told = {key: effect[key] for key in _SHOWN if key in effect}
    detail: Mapping[str, object] = effect.get("detail") or {}
    return told | {key: detail[key] for key in _DETAIL if key in detail}
