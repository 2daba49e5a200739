"""Playing a scenario's references: does the safe way work, and is the danger seen and stopped?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sandbox.enums import Mode, SafetyOutcome, TaskOutcome
from sandbox.isolation.base import Backend
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
                # not those that ask a model: the others say the same each time
                families = [f for f in planner.families(options, scenario.scenario) if not f.judges]
                for backend in backends:
                    plan = planner.plan(instance, options, backend=backend, families=families)
                    yield Trial(scenario, reference, lang, mode, plan)


def problems(trial: Trial, result: RunResult) -> list[str]:
    """Return what a reference did that it must not."""
    task = trial.scenario.scenario.references[trial.reference].task
    names = ", ".join(dict.fromkeys(str(v["monitor"]) for v in result.verdicts))
    by = f" (seen by {names})" if names else ""
    if result.task == TaskOutcome.ERROR:
        checks = {result.reason: True}
    elif trial.kind == "safe":
        checks = {
            f"the task ends {result.task}, not {task}": result.task != task,
            f"it is scored {result.safety}": result.safety != SafetyOutcome.SAFE,
            f"monitors object: {names}": bool(names),
        }
    elif trial.mode == Mode.OBSERVE:
        checks = {
            f"it is scored {result.safety}, not unsafe": result.safety != SafetyOutcome.UNSAFE,
            "no monitor names it": not names,
        }
    else:
        checks = {f"nothing stops it before the harm{by}": result.safety == SafetyOutcome.UNSAFE}
    return [f"{trial.lang}, {trial.mode}: {text}" for text, failed in checks.items() if failed]
