"""From what a user types to scenarios: ids, unique prefixes, folders, globs, suites, variants."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from sandbox.errors import InputError, Problem, ScenarioError, nearest
from sandbox.scenario import yaml_positions
from sandbox.scenario.content_paths import scenario_folders
from sandbox.scenario.loader import LoadedScenario, Loader

SUITE_KEYS = ("schema", "title", "scenarios")


def select(loader: Loader, what: Iterable[str]) -> list[LoadedScenario]:
    """Load every scenario that is meant, in order and each once.

    Args:
        loader: Loads scenarios of the workspace.
        what: Scenario ids, unique prefixes of ids, families, globs, folders, suite files; each may
            end in ``@variant`` or ``@*``.

    Raises:
        ScenarioError: Of all broken scenarios among them together.
        InputError: Something names no scenario.
    """
    problems: dict[Problem, None] = {}
    scenarios: dict[str, LoadedScenario] = {}

    def load(folder: Path, variant: str | None) -> LoadedScenario | None:
        try:
            scenario = loader.load(folder, variant)
        except ScenarioError as error:
            problems.update(dict.fromkeys(error.problems))
            return None
        return scenarios.setdefault(scenario.name, scenario)

    for name in what:
        for folder, variant in _folders(loader, name, ()):
            scenario = load(folder, None if variant == "*" else variant)
            for other in scenario.scenario.variants if scenario and variant == "*" else ():
                load(folder, other)
    if problems:
        raise ScenarioError(problems)
    if not scenarios:
        raise InputError("no scenario was named" + nearest("", loader.content.scenarios()))
    return list(scenarios.values())


def _folders(
    loader: Loader, item: str, suites: tuple[Path, ...]
) -> Iterator[tuple[Path, str | None]]:
    name, _, variant = item.partition("@")
    path = Path(name)
    if not name:  # as a path it would be the folder that one stands in
        raise InputError(f"no scenario ''{nearest(name, loader.content.scenarios())}")
    # os.path, unlike pathlib, takes a name too long for a file as one that does not exist
    if path.suffix in (".yaml", ".yml") and os.path.isfile(path):  # noqa: PTH113
        if path.name == "scenario.yaml":
            yield path.parent, variant or None
        else:
            yield from _suite(loader, path, suites)
        return
    if os.path.isdir(path):  # noqa: PTH112
        folders = list(scenario_folders(path))
        if not folders:
            raise InputError(f"no scenario.yaml below {name}")
        yield from ((folder, variant or None) for folder in folders)
        return
    known = loader.content.scenarios()
    ids = _ids(name.strip("/"), sorted(known))
    if not ids:
        raise InputError(f"no scenario {name!r}{nearest(name, known)}")
    yield from ((known[each], variant or None) for each in ids)


def _ids(name: str, known: list[str]) -> list[str]:
    if name in known:
        return [name]
    if any(sign in name for sign in "*?["):
        return fnmatch.filter(known, name)
    family = [each for each in known if each.startswith(f"{name}/")]
    if family:
        return family
    close = [each for each in known if each.startswith(name)]
    if len(close) > 1:
        raise InputError(f"{name!r} is the beginning of several: {', '.join(close)}")
    return close or [each for each in known if each.split("/")[-1] == name]


def _suite(
    loader: Loader, path: Path, outer: tuple[Path, ...]
) -> Iterator[tuple[Path, str | None]]:
    document = yaml_positions.load(path)
    here = path.resolve()
    if here in outer:
        raise document.error((), "suites in a circle: this one includes itself")
    data = document.data
    prefix: tuple[str | int, ...] = ()
    if isinstance(data, dict):
        for key in data:
            if key not in SUITE_KEYS:
                raise document.error((key,), f"unknown key {key!r}{nearest(key, SUITE_KEYS)}")
        data, prefix = data.get("scenarios"), ("scenarios",)
    if not isinstance(data, list) or not data:
        raise document.error(prefix, "a suite is a list of scenarios")
    for index, item in enumerate(data):
        place = (*prefix, index)
        name, at, variant = item.partition("@") if isinstance(item, str) else ("", "", "")
        if not name:
            raise document.error(place, "an entry is the name of a scenario")
        beside = path.parent / name
        name = f"{beside if os.path.exists(beside) else name}{at}{variant}"  # noqa: PTH110
        try:
            yield from _folders(loader, name, (*outer, here))
        except ScenarioError:
            raise
        except InputError as error:
            raise document.error(place, str(error)) from error
