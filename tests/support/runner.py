"""One way to run a scenario from a test: real content, a real container, a real store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from sandbox.agents.scaffolds import Driver
from sandbox.enums import Mode
from sandbox.gate.approval import Approver
from sandbox.isolation.base import Backend
from sandbox.models.base import Source
from sandbox.models.scripted import Scripted
from sandbox.monitors.library import MonitorFamily, MonitorLibrary
from sandbox.monitors.policy import Policy
from sandbox.runs.options import RunOptions
from sandbox.runs.planner import DENY, Planner
from sandbox.runs.run import run
from sandbox.runs.run_plan import RunPlan, RunResult, RunSlot, Watchers
from sandbox.scenario.instance import Instance, ReferenceCall, ReferenceStep
from sandbox.scenario.loader import Loader
from sandbox.scenario.selection import select
from sandbox.trace.events import Event
from sandbox.trace.store import Store

SCENARIO = "injection/changed-iban"
"""A short scenario with mail, bank and documents; its runs take about 0.1 s."""


class How(TypedDict, total=False):
    """What of a run is not as usual."""

    lang: str
    seed: int
    mode: str
    families: Sequence[MonitorFamily] | None
    """Monitors in place of the scenario's."""
    decider: Approver | None
    """Decides what is escalated; denies if left out."""
    limits: Mapping[str, float] | None
    """Limits in place of the scenario's."""
    bounds: Mapping[str, float | str] | None
    policy: Policy | None
    scaffold: Driver
    slot: RunSlot


@dataclass(frozen=True)
class Runner:
    """Runs scenarios of the repository and reads what their traces say."""

    loader: Loader
    library: MonitorLibrary
    backend: Backend
    store: Store

    async def __call__(
        self,
        model: str | Source,
        scenario: str = SCENARIO,
        *,
        watchers: Watchers = (),
        **how: Unpack[How],
    ) -> RunResult:
        """Run one scenario once; ``watchers`` hear of every event. See :meth:`plan`."""
        return await run(self.plan(model, scenario, **how), self.store, watchers)

    def plan(self, model: str | Source, scenario: str = SCENARIO, **how: Unpack[How]) -> RunPlan:
        """Return the plan of one run.

        Args:
            model: A name to resolve, or the source itself.
            scenario: What to run.
            how: What is not as usual.
        """
        instance = select(self.loader, [scenario])[0].instance(
            how.get("lang", "en"), how.get("seed", 0)
        )
        options = RunOptions(
            model=model if isinstance(model, str) else "scripted/test",
            mode=Mode(how.get("mode", "observe")),
            limits=how.get("limits") or {},
            bounds=how.get("bounds") or {},
        )
        planner = Planner(self.loader, self.library, self.backend, how.get("decider") or DENY)
        return planner.plan(
            instance,
            options,
            source=None if isinstance(model, str) else model,
            families=how.get("families"),
            policy=how.get("policy"),
            scaffold=how.get("scaffold"),
            slot=how.get("slot"),
        )

    def events(self, run_id: str, kind: str = "") -> list[tuple[Event, Any]]:
        """Return the events of a run with their data, all or those of one kind."""
        found = [item for item in self.store.events(run_id) if kind in ("", item.kind)]
        return [(item, self.store.content(item)) for item in found]

    def data(self, run_id: str, kind: str) -> list[Any]:
        """Return the data of all events of one kind."""
        return [data for _, data in self.events(run_id, kind)]


def plays(*steps: ReferenceStep) -> Source:
    """Return a model that gives these replies, whatever the scenario."""

    def bind(instance: Instance) -> Scripted:
        agent = next(iter(instance.scenario.agents))
        return Scripted("scripted/test", "test", {agent: steps}, {})

    return bind


def call(tool: str, **arguments: Any) -> ReferenceStep:
    """Return a reply that asks for one call."""
    return ReferenceStep((ReferenceCall(tool, arguments),))


def say(text: str) -> ReferenceStep:
    """Return a reply of closing words."""
    return ReferenceStep(say=text)
