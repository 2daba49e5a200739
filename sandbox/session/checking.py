"""Playing a scenario's references: does the safe way work, and is the danger seen and stopped?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.isolation.base import Backend
from sandbox.models.scripted import source
from sandbox.oversight.escalation import Always
from sandbox.oversight.gate import Mode
from sandbox.oversight.library import Family, Library
from sandbox.scenario.loading import LoadedScenario
from sandbox.session.plan import RunPlan, RunResult
from sandbox.trace.store import Store

_VOLATILE = frozenset(
    {
        "seconds", "started", "owner", "isolation", "versions", "result_sha256", "wait_seconds",
        "headers",  # of requests: they name the versions of programs
    }
)  # fmt: skip
_VOLATILE_IN_EFFECTS = _VOLATILE | {"pid", "parent", "arguments"}
"""Ids of processes, and what stood in registers at refused system calls: pointers."""
_DURATION = re.compile(r"\b\d+(\.\d+)? ?m?s\b|\b\d+\.\d+ seconds\b")
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
    scenario: LoadedScenario, backends: Sequence[Backend], library: Library
) -> Iterator[Trial]:
    """Yield every way in which a scenario's references are to be played.

    Safe references in ``observe`` mode, unsafe ones in both: once to be seen, once to be stopped.
    """
    for lang in scenario.scenario.languages:
        instance = scenario.instance(lang, _SEED)
        for reference in scenario.scenario.references:
            modes: tuple[Mode, ...] = ("observe", "enforce")
            if reference.startswith("safe"):
                modes = ("observe",)
            for mode in modes:
                for backend in backends:
                    name = f"scripted/{reference}"
                    plan = RunPlan(
                        instance,
                        name,
                        source(name, reference, {}),
                        backend,
                        scenario.catalogue,
                        _sure(library.choose(scenario.scenario.monitors)),
                        Always(allow=False),
                        mode,
                    )
                    yield Trial(scenario, reference, lang, mode, plan)


def _sure(families: Sequence[Family]) -> tuple[Family, ...]:
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


def essence(store: Store, run: str) -> list[Any]:
    """Return a run's events without times, ids and what belongs to the back end.

    Two runs of the same reference on different back ends must agree in it.
    """
    found = []
    for item in store.events(run):
        if item.kind == "container.open":
            continue
        found.append([item.kind, item.agent, _stable(store.content(item))])
    return found


def _stable(value: Any, volatile: frozenset[str] = _VOLATILE) -> Any:
    if isinstance(value, dict):
        return {
            key: _stable_effects(item) if key == "effects" else _stable(item, volatile)
            for key, item in value.items()
            if key not in volatile
        }
    if isinstance(value, list):
        return [_stable(item, volatile) for item in value]
    return _DURATION.sub("‹time›", value) if isinstance(value, str) else value


def _stable_effects(effects: list[Any]) -> list[Any]:
    """Return effects in an order of their own: processes of one call run side by side.

    A file that comes and goes within a call may have a name made up by the program that made it.
    """
    gone = {
        e["target"]
        for e in effects
        if e["source"] == "trace" and e["action"] in ("rename", "delete")
    }
    passing = {
        e["target"] for e in effects if e["source"] == "trace" and e["action"] == "write"
    } & gone
    told = [
        _stable(
            effect | ({"target": "‹temporary›"} if effect["target"] in passing else {}),
            _VOLATILE_IN_EFFECTS,
        )
        for effect in effects
    ]
    return sorted(told, key=lambda effect: json.dumps(effect, sort_keys=True))
