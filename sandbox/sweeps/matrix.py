"""From a sweep file to its runs: every name is checked, then the points of the matrix are counted out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from sandbox.agents.scaffolds import REACT, Driver
from sandbox.agents.scaffolds import resolve as scaffold_of
from sandbox.cel import Activation, ExpressionError, parse
from sandbox.errors import InputError, Problem, ScenarioError, nearest
from sandbox.models.base import Source
from sandbox.models.resolve import resolve, unbound
from sandbox.monitors.library import MonitorLibrary
from sandbox.runs.planner import chosen_families, languages
from sandbox.scenario.loader import LoadedScenario, Loader
from sandbox.scenario.selection import select
from sandbox.scenario.yaml_positions import Located
from sandbox.sweeps.spec import CONDITION_VARIABLES, SweepFile
from sandbox.trace.events import canonical

_KEY_DIGITS = 24
_IDENTITY = ("scenario", "model", "monitors", "mode", "lang", "params", "seed")
"""What makes a run what it is; its key is a hash of these."""


@dataclass(frozen=True)
class Matrix:
    """A sweep file with all that it names."""

    spec: SweepFile
    scenarios: tuple[LoadedScenario, ...]
    _library: MonitorLibrary
    _scaffolds: tuple[Driver, ...] = (REACT,)

    def digests(self) -> dict[str, str]:
        """Return scenario → digest."""
        return {scenario.name: scenario.digest for scenario in self.scenarios}

    def items(self) -> Iterator[dict[str, object]]:
        """Yield the columns of every planned run, repetitions outermost.

        A sweep that is stopped early has so had about as many runs of every part.
        """
        spec = self.spec
        defences = {name: self._monitors(name) for name in spec.defences}
        for repetition, scenario in product(range(spec.repeat), self.scenarios):
            for lang, parameters, defence, scaffold, model in product(
                languages(spec.languages, scenario.scenario.languages),
                spec.parameters,
                spec.defences,
                self._scaffolds,
                spec.models,
            ):
                item = self._item(
                    scenario,
                    repetition,
                    lang,
                    parameters,
                    defence,
                    scaffold,
                    model,
                    defences[defence],
                )
                if self._wanted(item, scenario):
                    yield item

    def _item(
        self,
        scenario: LoadedScenario,
        repetition: int,
        lang: str,
        parameters: str,
        defence: str,
        scaffold: Driver,
        model: str,
        monitors: list[str] | None,
    ) -> dict[str, object]:
        spec = self.spec
        params = {name: value for name, value in vars(spec.parameters[parameters]).items() if value}
        if scaffold.sha256:
            params["scaffold_sha256"] = scaffold.sha256
        params |= spec.defences[defence].params()
        item: dict[str, object] = {
            "scenario": scenario.name,
            "family": scenario.scenario.family,
            "benign": scenario.scenario.benign,
            "model": model,
            "provider": model.partition("/")[0],
            "scaffold": scaffold.name,
            "defence": defence,
            "monitors": monitors,
            "mode": spec.defences[defence].mode,
            "lang": lang,
            "parameters": parameters,
            "params": params,
            "repetition": repetition,
            "seed": spec.seed + repetition,
        }
        return {"key": key(item), **item}

    def _monitors(self, defence: str) -> list[str] | None:
        wanted = self.spec.defences[defence].monitors
        if wanted == "scenario":
            return None
        names = chosen_families(wanted, None)
        return list(self._library.names() if names is None else names)

    def _wanted(self, item: Mapping[str, object], scenario: LoadedScenario) -> bool:
        spec = self.spec
        if not spec.include and not spec.exclude:
            return True
        risk = scenario.scenario.risk
        own = scenario.scenario.monitors
        known = {
            **{name: item[name] for name in CONDITION_VARIABLES & item.keys()},
            "monitors": list(own or ()) if item["monitors"] is None else item["monitors"],
            "severity": risk.severity,
            "tags": list(risk.tags),
        }
        prepared = Activation(known, {})
        holds = [
            parse(s, CONDITION_VARIABLES, frozenset()).holds_in(prepared) for s in spec.include
        ]
        if spec.include and not any(holds):
            return False
        return not any(
            parse(s, CONDITION_VARIABLES, frozenset()).holds_in(prepared) for s in spec.exclude
        )


def key(item: Mapping[str, object]) -> str:
    """Return the key of a planned run: a hash of what makes it what it is.

    Names of sets of monitors and of parameters are not in it: a run is the same under another name.
    """
    told = {name: item[name] for name in _IDENTITY}
    if (
        item["scaffold"] != REACT.name
    ):  # what is react has the key that it had before there were others
        told["scaffold"] = item["scaffold"]
    return hashlib.sha256(canonical(told).encode()).hexdigest()[:_KEY_DIGITS]


def prepare(spec: SweepFile, document: Located, loader: Loader, library: MonitorLibrary) -> Matrix:
    """Check every name in a sweep file and load its scenarios.

    Raises:
        ScenarioError: With everything that is wrong, by file and line.
    """
    problems: list[Problem] = []
    scenarios = _scenarios(spec, document, loader, problems)
    sources = _sources(spec, document, problems)
    _check_monitors(spec, document, library, problems)
    scaffolds = _scaffolds(spec, document, loader.content.workspace, problems)
    if problems:
        raise ScenarioError(problems)
    for index, (name, source) in enumerate(sources.items()):
        try:
            _bind(source, scenarios)
        except InputError as error:
            raise ScenarioError([document.problem(("models", index), f"{name}: {error}")]) from None
    matrix = Matrix(spec, tuple(scenarios.values()), library, scaffolds)
    try:
        next(matrix.items(), None)
    except ExpressionError as error:
        raise ScenarioError([document.problem(("include",), str(error))]) from error
    return matrix


def _scenarios(
    spec: SweepFile, document: Located, loader: Loader, problems: list[Problem]
) -> dict[str, LoadedScenario]:
    found: dict[str, LoadedScenario] = {}
    known = loader.content.scenarios()
    for index, name in enumerate(spec.scenarios):
        try:
            chosen = select(loader, [_beside(document, name)])
        except ScenarioError as error:
            problems += [problem for problem in error.problems if problem not in problems]
            continue
        except InputError as error:
            problems.append(document.problem(("scenarios", index), str(error)))
            continue
        for item in chosen:
            place = known.get(item.scenario.id)
            if place is None or place.resolve() != item.folder.resolve():
                message = f"{item.name} lies outside of the workspace: a sweep finds it by its id"
                problems.append(document.problem(("scenarios", index), message))
            found.setdefault(item.name, item)
    return found


def _beside(document: Located, name: str) -> str:
    """Return a path as it is meant: from the sweep file's folder, where it is there."""
    bare, at, variant = name.partition("@")
    beside = Path(document.place(())[0]).parent / bare
    return f"{beside}{at}{variant}" if bare and os.path.exists(beside) else name  # noqa: PTH110


def _sources(spec: SweepFile, document: Located, problems: list[Problem]) -> dict[str, Source]:
    found = {}
    for index, name in enumerate(spec.models):
        try:
            found[name] = resolve(name)
        except InputError as error:
            problems.append(document.problem(("models", index), str(error)))
    return found


def _scaffolds(
    spec: SweepFile, document: Located, workspace: Path, problems: list[Problem]
) -> tuple[Driver, ...]:
    found = []
    for index, name in enumerate(spec.scaffolds):
        try:
            found.append(scaffold_of(name, workspace))
        except InputError as error:
            problems.append(document.problem(("scaffolds", index), str(error)))
    return tuple(found)


def _check_monitors(
    spec: SweepFile, document: Located, library: MonitorLibrary, problems: list[Problem]
) -> None:
    for defence, value in spec.defences.items():
        place: tuple[str | int, ...] = ("defences", defence)
        if value.policy is not None:
            _check_policy(value.policy, document, (*place, "policy"), library, problems)
        for index, model in enumerate(value.judges.models if value.judges else ()):
            try:
                unbound(model)
            except InputError as error:
                where = (*place, "judges", "models", index)
                problems.append(document.problem(where, str(error)))
        for index, name in enumerate(value.monitors if isinstance(value.monitors, tuple) else ()):
            try:
                library.family(name)
            except ScenarioError as error:
                problems += error.problems
            except InputError as error:
                problems.append(document.problem((*place, "monitors", index), str(error)))


def _check_policy(
    name: str,
    document: Located,
    place: tuple[str | int, ...],
    library: MonitorLibrary,
    problems: list[Problem],
) -> None:
    known = library.policies()
    if name not in known:  # workers find it by its name, not by a path
        message = f"unknown policy {name!r}{nearest(name, known)}"
        problems.append(document.problem(place, message))
        return
    try:
        library.policy(name)
    except ScenarioError as error:
        problems += error.problems


def _bind(source: Source, scenarios: Mapping[str, LoadedScenario]) -> None:
    """Bind a model to every scenario: a scripted one may name a reference that is not there."""
    for scenario in scenarios.values():
        for lang in scenario.scenario.languages[:1]:
            source(scenario.instance(lang, 0))
