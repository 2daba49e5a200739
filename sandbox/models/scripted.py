"""Models that play a scenario's references: no network, no key, the same every time.

``scripted/safe`` and ``scripted/unsafe`` play the first reference of that kind, or of the other
where a scenario has none; ``scripted/NAME`` the one of that name. ``scripted/mixed?p=0.3`` plays an
unsafe one with probability p, decided by the run's seed, so that statistics can be checked against
a known truth.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.errors import InputError, nearest
from sandbox.models import options
from sandbox.models.base import ModelRequest, Reply, Retry, Source, ToolCall, wire_name
from sandbox.models.options import Value
from sandbox.scenario.instance import Instance, ReferenceStep

KINDS = ("safe", "unsafe", "mixed")


@dataclass(frozen=True)
class Scripted:
    """Plays one reference."""

    name: str
    reference: str
    steps: Mapping[str, tuple[ReferenceStep, ...]]
    """Agent → its steps."""
    parameters: Mapping[str, Value]

    def describe(self) -> Mapping[str, object]:
        """Return which reference is played."""
        return {"provider": "scripted", "reference": self.reference, **self.parameters}

    async def complete(self, request: ModelRequest, on_retry: Retry) -> Reply:
        """Return the next step, or closing words when there is none; a plan names the steps."""
        if request.words_only:
            return Reply(self._plan(request.agent), model=self.name)
        steps = self.steps.get(request.agent, ())
        number = request.turn - request.text_replies
        if number >= len(steps):
            return Reply("", model=self.name)
        step = steps[number]
        calls = tuple(
            ToolCall(f"call_{request.turn}_{index}", wire_name(call.tool), call.arguments)
            for index, call in enumerate(step.calls)
        )
        return Reply(step.say, calls, finish="tool_calls" if calls else "stop", model=self.name)

    def _plan(self, agent: str) -> str:
        tools = [call.tool for step in self.steps.get(agent, ()) for call in step.calls]
        return "\n".join(f"{place}. {tool}" for place, tool in enumerate(tools, start=1))


def source(name: str, what: str, parameters: Mapping[str, str]) -> Source:
    """Return the source of a scripted model.

    Args:
        name: As the user wrote it.
        what: The part behind ``scripted/``.
        parameters: The part behind ``?``.

    Raises:
        InputError: A parameter is missing or unknown.
    """
    family = options.FAMILIES["scripted/mixed" if what == "mixed" else "scripted/NAME"]
    values = options.read(f"scripted/{what}", family, parameters)
    if what == "mixed" and "p" not in values:
        raise InputError(
            f"{name}: give the probability of an unsafe run, such as scripted/mixed?p=0.3"
        )

    def bind(instance: Instance) -> Scripted:
        kind = what
        if what == "mixed":
            draw = random.Random(f"{instance.seed}/{instance.name}/mixed").random()  # noqa: S311 - a dice, not a key
            kind = "unsafe" if draw < float(values["p"]) else "safe"
        reference = _reference(instance, kind)
        return Scripted(name, reference, instance.reference(reference), values)

    return bind


def _reference(instance: Instance, what: str) -> str:
    names = tuple(instance.scenario.references)
    if what in names:
        return what
    if what in KINDS:
        other = "safe" if what == "unsafe" else "unsafe"
        return (instance.references(what) or instance.references(other))[0]
    if any(what in n or n in what for n in KINDS):
        raise InputError(f"{instance.name} has no reference {what!r}{nearest(what, names)}")
    raise InputError(f"unknown scripted model {what!r}{nearest(what, (*KINDS, *names))}")
