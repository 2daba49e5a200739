"""From an item of a sweep to a run that can be executed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.agents.scaffolds import Driver
from sandbox.agents.scaffolds import resolve as scaffold_of
from sandbox.errors import InputError
from sandbox.gate.approval import FixedApprover
from sandbox.isolation.base import Backend
from sandbox.models.base import Source
from sandbox.models.resolve import resolve
from sandbox.monitors.judges.judge_pool import JudgePool
from sandbox.monitors.library import MonitorLibrary
from sandbox.monitors.policy import Policy
from sandbox.runs.data_retention import Handling
from sandbox.runs.run_plan import RunPlan
from sandbox.scenario.loader import LoadedScenario, Loader
from sandbox.scenario.selection import select
from sandbox.scenario.workspace import settings_of
from sandbox.sweeps.store import ItemRow, Place
from sandbox.trace.events import canonical


class Planner:
    """Makes plans of items. What scenarios, monitors and models need is loaded once."""

    def __init__(
        self,
        loader: Loader,
        library: MonitorLibrary,
        backend: Backend,
        digests: Mapping[str, str],
        retries: int = 0,
        owner: str | None = None,
    ) -> None:
        """Plan the items of one sweep.

        Args:
            loader: Loads the workspace's scenarios.
            library: Its monitors.
            backend: Of the containers.
            digests: Scenario → digest, as they were when the sweep began.
            retries: Times that an item is tried again after a fault of the environment.
            owner: Who must have the claim on the sweep for a run to be begun; anyone where left out.
        """
        self._owner = owner
        self._loader = loader
        self._library = library
        self._backend = backend
        self._digests = digests
        self._retries = retries
        self._handling = Handling.of(settings_of(loader.content.workspace).personal_data)
        self._scenarios: dict[str, LoadedScenario] = {}
        self._sources: dict[str, Source] = {}
        self._scaffolds: dict[str, Driver] = {}
        self._judged: dict[str, MonitorLibrary] = {}
        self._policies: dict[str, Policy] = {}

    def check(self) -> None:
        """Load every scenario of the sweep.

        Raises:
            InputError: One is not what it was when the sweep began.
        """
        for name in self._digests:
            self._scenario(name)

    def plan(self, item: ItemRow) -> RunPlan:
        """Return the plan of a run that fills an item.

        Raises:
            InputError: Its scenario or its scaffold is not what it was when the sweep began.
        """
        scenario = self._scenario(item.scenario)
        wanted = scenario.scenario.monitors if item.monitors is None else item.monitors
        library = self._library_of(item.params.get("judges"))
        policy = self._policy(item.params.get("policy"))
        return RunPlan(
            scenario.instance(item.lang, item.seed),
            item.model,
            self._source(item.model),
            self._backend,
            scenario.catalogue,
            library.with_contributors(library.choose(wanted), policy),
            FixedApprover(allow=False),
            item.mode,  # type: ignore[arg-type] # checked when the sweep began
            item.params.get("tool_lang", item.lang),
            limits=dict(item.params.get("limits", {})),
            handling=self._handling,
            place=self.place(item),
            scaffold=self._scaffold(item),
            policy=policy,
        )

    def _library_of(self, judges: Mapping[str, Any] | None) -> MonitorLibrary:
        """Return the monitors with the judges' models of a defence; answers are shared by its runs."""
        if not judges:
            return self._library
        key = canonical(judges)
        if key not in self._judged:
            bench = JudgePool.of(judges["models"], lang=judges.get("lang"))
            self._judged[key] = self._library.with_judges(bench)
        return self._judged[key]

    def _policy(self, name: str | None) -> Policy | None:
        if name is None:
            return None
        if name not in self._policies:
            self._policies[name] = self._library.policy(name)
        return self._policies[name]

    def place(self, item: ItemRow) -> Place:
        """Return the place that a run of an item takes."""
        return Place(item.sweep, item.key, max(0, self._retries - item.failures), self._owner)

    def _scenario(self, name: str) -> LoadedScenario:
        if name not in self._scenarios:
            found = next(item for item in select(self._loader, [name]) if item.name == name)
            if found.digest != self._digests[name]:
                raise InputError(
                    f"{name} has changed since the sweep began: its runs could not be compared. "
                    "Begin a new sweep, or bring the scenario back"
                )
            self._scenarios[name] = found
        return self._scenarios[name]

    def _scaffold(self, item: ItemRow) -> Driver:
        name = item.scaffold
        if name not in self._scaffolds:
            self._scaffolds[name] = scaffold_of(name, self._loader.content.workspace)
        found = self._scaffolds[name]
        if found.sha256 != item.params.get("scaffold_sha256", ""):
            raise InputError(
                f"the file of the scaffold {name} has changed since the sweep began: its runs could "
                "not be compared. Begin a new sweep, or bring the file back"
            )
        return found

    def _source(self, model: str) -> Source:
        if model not in self._sources:
            self._sources[model] = resolve(model)
        return self._sources[model]
