"""The one planner: every name that a run needs is resolved here, and its plan put together whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache, partial
from math import isfinite
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from sandbox.agents import scaffolds
from sandbox.agents.scaffolds import Driver
from sandbox.enums import Mode
from sandbox.errors import InputError, nearest
from sandbox.gate.approval import Approver, FixedApprover
from sandbox.isolation.base import Backend
from sandbox.models.base import Source
from sandbox.models.resolve import check_keys, resolve
from sandbox.monitors.judges.judge_pool import JudgePool
from sandbox.monitors.library import MonitorFamily, MonitorLibrary
from sandbox.monitors.policy import Policy
from sandbox.runs.data_retention import Handling
from sandbox.runs.fork_source import Fork
from sandbox.runs.options import JudgeOptions, RunOptions, Texts, texts
from sandbox.runs.run_plan import RunPlan, RunSlot
from sandbox.scenario.bounds import Bounds
from sandbox.scenario.instance import Instance
from sandbox.scenario.loader import Loader
from sandbox.scenario.schema import Limits, Scenario
from sandbox.scenario.selection import select
from sandbox.scenario.workspace import settings_of

DENY = FixedApprover(allow=False)
Amounts = TypeVar("Amounts", Limits, Bounds)


class Planner:
    """Makes plans of runs. What several need (models, monitors, scaffolds) is loaded once."""

    def __init__(
        self, loader: Loader, library: MonitorLibrary, backend: Backend, decider: Approver = DENY
    ) -> None:
        """Plan runs of one workspace.

        Args:
            loader: Loads the workspace's scenarios.
            library: Its monitors.
            backend: Makes the containers.
            decider: Decides what monitors escalate.
        """
        self.loader = loader
        self.backend = backend
        self.decider = decider
        self._workspace = loader.content.workspace
        self._retention = Handling.of(settings_of(self._workspace).personal_data)
        self.scaffold: Callable[[str], Driver] = cache(
            lambda name: scaffolds.resolve(name, self._workspace)
        )
        self._source: Callable[[str], Source] = cache(resolve)
        self._judged: Callable[[JudgeOptions], MonitorLibrary] = cache(
            partial(with_judges, library)
        )
        self._policy: Callable[[MonitorLibrary, str], Policy] = cache(MonitorLibrary.policy)

    def plans(
        self, what: Iterable[str], options: RunOptions, *, scaffold: Driver | None = None
    ) -> list[RunPlan]:
        """Return the plan of every run that is meant; all input is checked before the first one starts.

        Args:
            what: Scenarios, families, folders, suites.
            options: How they are run.
            scaffold: What drives the model instead of the one that the options name.

        Raises:
            InputError: Something in it names nothing, or does not fit.
        """
        scenarios, models = select(self.loader, what), texts(options.model)
        if not models:
            raise InputError("no model was named: write provider/model, such as scripted/safe")
        plans = [
            self.plan(
                scenario.instance(lang, seed), replace(options, model=model), scaffold=scaffold
            )
            for scenario in scenarios
            for lang in languages(options.lang, scenario.scenario.languages)
            for model in models
            for seed in range(options.seed, options.seed + options.repeat)
        ]
        if not plans:
            raise InputError(f"none of these scenarios exists in {options.lang!r}")
        for plan in plans:
            plan.model(plan.instance)  # a scripted model may name a reference that is not there
        check_model_keys(options)
        return plans

    def plan(
        self,
        instance: Instance,
        options: RunOptions,
        *,
        slot: RunSlot | None = None,
        fork: Fork | None = None,
        handling: Handling | None = None,
        backend: Backend | None = None,
        source: Source | None = None,
        scaffold: Driver | None = None,
        families: Sequence[MonitorFamily] | None = None,
        policy: Policy | None = None,
    ) -> RunPlan:
        """Return the plan of one run. What is given as an object stands instead of what a name means.

        Args:
            instance: The scenario, made ready.
            options: How it is run; with one model.
            slot: The item of a sweep that it fills.
            fork: The run from which it goes on.
            handling: Of personal data.
            backend: Makes the container.
            source: The model.
            scaffold: What drives it.
            families: The monitors, without those that a policy needs beside them.
            policy: What follows from their scores together.

        Raises:
            InputError: An option names nothing, or is out of range.
        """
        scenario, library = instance.scenario, self.library(options)
        models = texts(options.model)
        if len(models) != 1:
            raise InputError(f"one model makes a run, not {', '.join(models) or 'none'}")
        name = " ".join((*models, *(f"{agent}={other}" for agent, other in options.agent.items())))
        families = self.families(options, scenario) if families is None else families
        if policy is None and options.policy not in (None, "none"):
            policy = self._policy(library, str(options.policy))
        return RunPlan(
            instance=instance,
            model_name=name,
            model=_record(source or self._source(name), options),
            backend=backend or self.backend,
            catalogue=self.loader.catalogue,
            families=library.with_contributors(families, policy),
            decider=self.decider,
            mode=Mode(options.mode),
            tool_lang=options.tool_lang or instance.lang,
            bounds=overridden(scenario.bounds, options.bounds),
            limits=overridden(scenario.limits, options.limits),
            fork=fork,
            handling=handling or self._handling(options),
            slot=slot,
            scaffold=scaffold or self.scaffold(options.scaffold),
            policy=policy,
        )

    def families(self, options: RunOptions, scenario: Scenario) -> tuple[MonitorFamily, ...]:
        """Return the monitors that watch a run of a scenario."""
        return self.library(options).choose(select_families(options.monitors, scenario.monitors))

    def library(self, options: RunOptions) -> MonitorLibrary:
        """Return the monitors, with the models for judges that the options name."""
        return self._judged(
            JudgeOptions(
                judge_model=texts(options.judge_model),
                judge_cache=options.judge_cache,
                judge_lang=options.judge_lang,
            )
        )

    def _handling(self, options: RunOptions) -> Handling:
        usual = self._retention
        return Handling(
            usual.purpose if options.purpose is None else options.purpose or None,
            usual.legal_basis if options.legal_basis is None else options.legal_basis or None,
            usual.retain_days if options.retain is None else options.retain,
        )


def with_judges(library: MonitorLibrary, options: JudgeOptions) -> MonitorLibrary:
    """Return monitors with the models, the answers and the language for judges that options name."""
    judges = texts(options.judge_model), options.judge_cache, options.judge_lang
    if not any(judges):
        return library
    file = Path(options.judge_cache) if options.judge_cache else None
    return library.with_judges(JudgePool.of(judges[0], file, options.judge_lang))


def check_model_keys(options: RunOptions) -> None:
    """Check that the keys of all models are there before anything begins; recorded answers need none."""
    judges = () if options.judge_cache else texts(options.judge_model)
    for name in (*texts(options.model), *options.agent.values(), *judges):
        check_keys(name)


def languages(selection: Texts, available: Sequence[str]) -> tuple[str, ...]:
    """Return the selected languages of a scenario: names, with commas too, or ``all``."""
    names = texts(selection, ",")
    return tuple(available if names == ("all",) else (n for n in names if n in available))


def select_families(selection: Texts | None, own: Sequence[str] | None) -> Sequence[str] | None:
    """Return the selected monitor families, None for all of the workspace.

    Args:
        selection: Names, with commas too, or ``all``, ``none``, ``scenario``; the last one if None.
        own: Those that the scenario names, None for all.
    """
    names = ("scenario",) if selection is None else texts(selection, ",")
    special: dict[tuple[str, ...], Sequence[str] | None]
    special = {("scenario",): own, ("all",): None, ("none",): ()}
    return special.get(names, names)


def overridden(amounts: Amounts, changes: Mapping[str, float | str]) -> Amounts:
    """Return limits or bounds with some of them replaced.

    Raises:
        InputError: A name is unknown, or a value out of range.
    """
    if not changes:
        return amounts
    what = type(amounts).__name__.lower().removesuffix("s")
    if not all(isfinite(value) for value in changes.values() if isinstance(value, float)):
        raise InputError(f"{what}s are finite numbers, not {dict(changes)}")
    known = amounts.model_dump() if isinstance(amounts, BaseModel) else asdict(amounts)
    for name in changes:
        if name not in known:
            raise InputError(f"unknown {what} {name!r}{nearest(name, known)}")
    try:
        return TypeAdapter(type(amounts)).validate_python({**known, **changes})
    except ValidationError as error:
        first = error.errors()[0]
        name, said = str(first["loc"][0]), first["msg"]
        raise InputError(f"{what} {name}={changes[name]}: {said[:1].lower()}{said[1:]}") from None


def _record(source: Source, options: RunOptions) -> Source:
    if options.record is None:
        return source
    from sandbox.models.cassette import RecordingModel

    path = Path(options.record)
    return lambda instance: RecordingModel(source(instance), path)
