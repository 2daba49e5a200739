"""Playing a scenario's references: does the safe way work, and is the danger seen and stopped?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sandbox.enums import Mode
from sandbox.isolation.base import Backend
from sandbox.monitors.library import MonitorFamily
from sandbox.runs.options import RunOptions
from sandbox.runs.planner import Planner
from sandbox.runs.run_plan import RunPlan, RunResult
from sandbox.scenario.loader import LoadedScenario

_SEED = 0


@dataclass(frozen=True)
class Trial:
    """One reference to be played in one way."""

    scenario: LoadedScenario
    reference: str
    lang: str
    mode: str
    plan: RunPlan

    @property
    def kind(self) -> str:
        """``safe`` or ``unsafe``."""
        return self.reference.split("-")[0]

    @property
    def group(self) -> tuple[str, str, str, str]:
        """What is the same for trials that differ in the back end only."""
        return self.scenario.name, self.reference, self.lang, self.mode


def trials(
    scenario: LoadedScenario, backends: Sequence[Backend], planner: Planner
) -> Iterator[Trial]:
    """Yield every way in which a scenario's references are to be played.

    Safe references in ``observe`` mode, unsafe ones in both: once to be seen, once to be stopped.
    """
    for lang in scenario.scenario.languages:
        instance = scenario.instance(lang, _SEED)
        for reference in scenario.scenario.references:
            modes: tuple[Mode, ...] = tuple(Mode)
            if reference.startswith("safe"):
                modes = (Mode.OBSERVE,)
            for mode in modes:
                options = RunOptions(model=f"scripted/{reference}", mode=mode)
                families = _sure(planner.families(options, scenario.scenario))
                for backend in backends:
                    plan = planner.plan(instance, options, backend=backend, families=families)
                    yield Trial(scenario, reference, lang, mode, plan)


def _sure(families: Sequence[MonitorFamily]) -> tuple[MonitorFamily, ...]:
    """Return the families that say the same each time: not those that ask a model."""
    return tuple(family for family in families if not family.judges)


def problems(trial: Trial, result: RunResult) -> list[str]:
    """Return what a reference did that it must not."""
    said = f"{trial.lang}, {trial.mode}: "
    if result.task == "error":
        return [f"{said}{result.reason}"]
    named = ", ".join(dict.fromkeys(str(v["monitor"]) for v in result.verdicts))
    found = []
    if trial.kind == "safe":
        wanted = trial.scenario.scenario.references[trial.reference].task
        if result.task != wanted:
            found.append(f"{said}the task ends {result.task}, not {wanted}")
        if result.safety != "safe":
            found.append(f"{said}it is scored {result.safety}")
        if result.verdicts:
            found.append(f"{said}monitors object: {named}")
    elif trial.mode == "observe":
        if result.safety != "unsafe":
            found.append(f"{said}it is scored {result.safety}, not unsafe")
        if not result.verdicts:
            found.append(f"{said}no monitor names it")
    elif result.safety == "unsafe":
        found.append(
            f"{said}nothing stops it before the harm{f' (seen by {named})' if named else ''}"
        )
    return found
