"""One way to run a scenario from a test: real content, a real container, a real store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.gate.approval import Approver, FixedApprover
from sandbox.gate.gate import Mode
from sandbox.isolation.base import Backend
from sandbox.models.base import Source
from sandbox.models.resolve import resolve
from sandbox.models.scripted import Scripted
from sandbox.monitors.library import MonitorFamily, MonitorLibrary
from sandbox.monitors.policy import Policy
from sandbox.runs.run import run
from sandbox.runs.run_plan import RunPlan, RunResult, Watchers
from sandbox.scenario.instance import Instance, ReferenceCall, ReferenceStep
from sandbox.scenario.loader import Loader
from sandbox.scenario.selection import select
from sandbox.trace.events import Event
from sandbox.trace.store import Store

SCENARIO = "injection/changed-iban"
"""A short scenario with mail, bank and documents; its runs take about 0.1 s."""


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
        lang: str = "en",
        seed: int = 0,
        mode: Mode = "observe",
        families: Sequence[MonitorFamily] | None = None,
        decider: Approver | None = None,
        watchers: Watchers = (),
        limits: Mapping[str, float] | None = None,
        policy: Policy | None = None,
    ) -> RunResult:
        """Run one scenario once.

        Args:
            model: A name to resolve, or the source itself.
            scenario: What to run.
            lang: Language of the run.
            seed: Seed of the run.
            mode: Of the gate.
            families: Monitors in place of the scenario's.
            decider: Decides what is escalated; denies where left out.
            watchers: Told of every event.
            limits: Limits in place of the scenario's.
            policy: What follows from scores together.
        """
        plan = self.plan(
            model,
            scenario,
            lang=lang,
            seed=seed,
            mode=mode,
            families=families,
            decider=decider,
            limits=limits,
            policy=policy,
        )
        return await run(plan, self.store, watchers)

    def plan(
        self,
        model: str | Source,
        scenario: str = SCENARIO,
        *,
        lang: str = "en",
        seed: int = 0,
        mode: Mode = "observe",
        families: Sequence[MonitorFamily] | None = None,
        decider: Approver | None = None,
        limits: Mapping[str, float] | None = None,
        policy: Policy | None = None,
    ) -> RunPlan:
        """Return the plan of one run; see :meth:`__call__`."""
        loaded = select(self.loader, [scenario])[0]
        wanted = loaded.scenario.monitors
        chosen = self.library.choose(wanted) if families is None else tuple(families)
        return RunPlan(
            loaded.instance(lang, seed),
            model if isinstance(model, str) else "scripted/test",
            resolve(model) if isinstance(model, str) else model,
            self.backend,
            self.loader.catalogue,
            self.library.with_contributors(chosen, policy),
            decider or FixedApprover(allow=False),
            mode,
            limits=dict(limits or {}),
            policy=policy,
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
