"""From a sweep file to its runs: every name is checked, then the points of the matrix are counted out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import TypeVar, cast

from sandbox.agents.scaffolds import REACT, Driver
from sandbox.agents.scaffolds import resolve as scaffold_of
from sandbox.cel import Activation, ExpressionError, parse
from sandbox.errors import InputError, Problem, ScenarioError, nearest
from sandbox.models.base import Source
from sandbox.models.resolve import resolve, unbound
from sandbox.monitors.library import MonitorLibrary
from sandbox.monitors.policy import Policy
from sandbox.runs.planner import languages, select_families
from sandbox.scenario.loader import LoadedScenario, Loader
from sandbox.scenario.selection import select
from sandbox.scenario.yaml_positions import Located
from sandbox.sweeps.spec import CONDITION_VARIABLES, SweepFile
from sandbox.trace.events import canonical

Loaded = TypeVar("Loaded")
_Place = tuple[str | int, ...]
_KEY_DIGITS = 24
_IDENTITY = ("scenario", "model", "monitors", "mode", "lang", "params", "seed")
"""What makes a run what it is; its key is a hash of these."""


@dataclass(frozen=True)
class Matrix:
    """A sweep file with all that it names."""

    spec: SweepFile
    scenarios: Sequence[LoadedScenario]
    _library: MonitorLibrary
    _scaffolds: Sequence[Driver] = (REACT,)

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
                if self._is_included(item, scenario):
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
        names = select_families(wanted, None)
        return list(self._library.names() if names is None else names)

    def _is_included(self, item: Mapping[str, object], scenario: LoadedScenario) -> bool:
        spec = self.spec
        if not spec.include and not spec.exclude:
            return True
        risk, own = scenario.scenario.risk, scenario.scenario.monitors
        known = {
            **{name: item[name] for name in CONDITION_VARIABLES & item.keys()},
            "monitors": list(own or ()) if item["monitors"] is None else item["monitors"],
            "severity": risk.severity,
            "tags": list(risk.tags),
        }
        prepared = Activation(known, {})

        def any_holds(sources: Iterable[str]) -> bool:
            return any(
                parse(s, CONDITION_VARIABLES, frozenset()).holds_in(prepared) for s in sources
            )

        return (not spec.include or any_holds(spec.include)) and not any_holds(spec.exclude)


def key(item: Mapping[str, object]) -> str:
    """Return the key of a planned run: a hash of what makes it what it is.

    Names of sets of monitors and of parameters are not in it: a run is the same under another name.
    """
    # what is react has the key that it had before there were others
    names = _IDENTITY if item["scaffold"] == REACT.name else (*_IDENTITY, "scaffold")
    text = canonical({name: item[name] for name in names})
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]


def prepare(spec: SweepFile, document: Located, loader: Loader, library: MonitorLibrary) -> Matrix:
    """Check every name in a sweep file and load its scenarios.

    Raises:
        ScenarioError: With everything that is wrong, by file and line.
    """
    check = _Check(document)
    scenarios = _scenarios(spec, loader, check)
    sources = [
        check.of(("models", i), partial(resolve, name)) for i, name in enumerate(spec.models)
    ]
    _check_monitors(spec, library, check)
    scaffolds = [
        check.of(("scaffolds", index), partial(scaffold_of, name, loader.content.workspace))
        for index, name in enumerate(spec.scaffolds)
    ]
    check.finish()
    for index, source in enumerate(sources):
        check.of(("models", index), partial(_bind, source, scenarios), f"{spec.models[index]}: ")
    matrix = Matrix(spec, scenarios, library, scaffolds)
    check.of(("include",), lambda: next(matrix.items(), None))
    check.finish()
    return matrix


@dataclass
class _Check:
    document: Located
    problems: list[Problem] = field(default_factory=list)

    def of(self, place: _Place, load: Callable[[], Loaded], prefix: str = "") -> Loaded:
        """Return what is loaded; if it cannot be, note the problem with its place and return None.

        None reaches nobody: :meth:`finish` raises before what was loaded is used.
        """
        try:
            return load()
        except ScenarioError as error:
            self.problems += [each for each in error.problems if each not in self.problems]
        except (InputError, ExpressionError) as error:
            self.problems.append(self.document.problem(place, f"{prefix}{error}"))
        return cast("Loaded", None)

    def finish(self) -> None:
        """Raise all problems, if there are any."""
        if self.problems:
            raise ScenarioError(self.problems)


def _scenarios(spec: SweepFile, loader: Loader, check: _Check) -> list[LoadedScenario]:
    scenarios: dict[str, LoadedScenario] = {}
    known = loader.content.scenarios()
    for index, name in enumerate(spec.scenarios):
        names = [_beside(check.document, name)]
        for item in check.of(("scenarios", index), partial(select, loader, names)) or ():
            place = known.get(item.scenario.id)
            if place is None or place.resolve() != item.folder.resolve():
                message = f"{item.name} lies outside of the workspace: a sweep finds it by its id"
                check.problems.append(check.document.problem(("scenarios", index), message))
            scenarios.setdefault(item.name, item)
    return list(scenarios.values())


def _beside(document: Located, name: str) -> str:
    """Return a path as it is meant: from the sweep file's folder, where it is there."""
    bare, at, variant = name.partition("@")
    beside = Path(document.place(())[0]).parent / bare
    return f"{beside}{at}{variant}" if bare and os.path.exists(beside) else name  # noqa: PTH110


def _check_monitors(spec: SweepFile, library: MonitorLibrary, check: _Check) -> None:
    for defence, value in spec.defences.items():
        place: _Place = ("defences", defence)
        if value.policy is not None:
            check.of((*place, "policy"), partial(_policy, library, value.policy))
        for index, model in enumerate(value.judges.models if value.judges else ()):
            check.of((*place, "judges", "models", index), partial(unbound, model))
        for index, name in enumerate(value.monitors if isinstance(value.monitors, tuple) else ()):
            check.of((*place, "monitors", index), partial(library.family, name))


def _policy(library: MonitorLibrary, name: str) -> Policy:
    known = library.policies()
    if name not in known:  # workers find it by its name, not by a path
        raise InputError(f"unknown policy {name!r}{nearest(name, known)}")
    return library.policy(name)


def _bind(source: Source, scenarios: Iterable[LoadedScenario]) -> None:
    """Bind a model to every scenario: a scripted one may name a reference that is not there."""
    for scenario in scenarios:
        for lang in scenario.scenario.languages[:1]:
            source(scenario.instance(lang, 0))
