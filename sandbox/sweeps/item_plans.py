"""From an item of a sweep to a run that can be executed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sandbox.errors import InputError
from sandbox.models.resolve import check_keys
from sandbox.runs.options import RunOptions
from sandbox.runs.planner import Planner
from sandbox.runs.run_plan import RunPlan
from sandbox.scenario.loader import LoadedScenario
from sandbox.scenario.selection import select
from sandbox.sweeps.store import ItemRow, ItemSlot


class ItemPlanner:
    """Makes plans of items; refuses what has changed since the sweep began."""

    def __init__(
        self,
        planner: Planner,
        digests: Mapping[str, str],
        retries: int = 0,
        owner: str | None = None,
    ) -> None:
        """Plan the items of one sweep.

        Args:
            planner: Of the workspace.
            digests: Scenario → digest, as they were when the sweep began.
            retries: Times that an item is tried again after a fault of the environment.
            owner: Who must have the claim on the sweep for a run to be begun; anyone if left out.
        """
        self._planner = planner
        self._owner = owner
        self._digests = digests
        self._retries = retries
        self._scenarios: dict[str, LoadedScenario] = {}

    def check(self, models: Iterable[str] = ()) -> None:
        """Load every scenario of the sweep.

        Args:
            models: Those whose keys must be in this process's environment.

        Raises:
            InputError: A scenario is not what it was when the sweep began, or a key is missing.
        """
        for model in models:
            check_keys(model)
        for name in self._digests:
            self._scenario(name)

    def plan(self, item: ItemRow) -> RunPlan:
        """Return the plan of a run that fills an item.

        Raises:
            InputError: Its scenario or its scaffold is not what it was when the sweep began.
        """
        options = options_of(item)
        driver = self._planner.scaffold(item.scaffold)
        if driver.sha256 != item.params.get("scaffold_sha256", ""):
            raise InputError(
                f"the file of the scaffold {driver.name} has changed since the sweep began: its runs "
                "could not be compared. Begin a new sweep, or bring the file back"
            )
        instance = self._scenario(item.scenario).instance(item.lang, item.seed)
        return self._planner.plan(instance, options, slot=self.slot(item))

    def slot(self, item: ItemRow) -> ItemSlot:
        """Return the slot that a run of an item fills."""
        return ItemSlot(item.sweep, item.key, max(0, self._retries - item.failures), self._owner)

    def _scenario(self, name: str) -> LoadedScenario:
        if name not in self._scenarios:
            scenario = next(s for s in select(self._planner.loader, [name]) if s.name == name)
            if scenario.digest != self._digests[name]:
                raise InputError(
                    f"{name} has changed since the sweep began: its runs could not be compared. "
                    "Begin a new sweep, or bring the scenario back"
                )
            self._scenarios[name] = scenario
        return self._scenarios[name]


def options_of(item: ItemRow) -> RunOptions:
    """Return how the run of an item is made."""
    parameters = {k: v for k, v in item.params.items() if k not in ("judges", "scaffold_sha256")}
    judges = item.params.get("judges", {})
    return RunOptions(
        model=item.model,
        monitors="scenario" if item.monitors is None else item.monitors or "none",
        scaffold=item.scaffold,
        mode=item.mode,  # type: ignore[arg-type] # checked when the options are made
        lang=item.lang,
        seed=item.seed,
        judge_model=judges.get("models", ()),
        judge_lang=judges.get("lang"),
        **parameters,
    )
