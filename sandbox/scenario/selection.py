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
    problems: list[Problem] = []
    loaded: dict[str, LoadedScenario] = {}
    for folder, variant in _all(loader, what):
        found = _loaded(loader, folder, None if variant == "*" else variant, problems)
        others = found.scenario.variants if found and variant == "*" else ()
        for item in (found, *(_loaded(loader, folder, name, problems) for name in others)):
            if item:
                loaded.setdefault(item.name, item)
    if problems:
        raise ScenarioError(problems)
    if not loaded:
        raise InputError("no scenario was named" + nearest("", loader.content.scenarios()))
    return list(loaded.values())


def _loaded(
    loader: Loader, folder: Path, variant: str | None, problems: list[Problem]
) -> LoadedScenario | None:
    try:
        return loader.load(folder, variant)
    except ScenarioError as error:
        problems += [problem for problem in error.problems if problem not in problems]
        return None


def _all(loader: Loader, what: Iterable[str]) -> Iterator[tuple[Path, str | None]]:
    for item in what:
        yield from _folders(loader, item, ())


def _folders(
    loader: Loader, item: str, seen: tuple[Path, ...]
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
            yield from _suite(loader, path, seen)
        return
    if os.path.isdir(path):  # noqa: PTH112
        folders = list(scenario_folders(path))
        if not folders:
            raise InputError(f"no scenario.yaml below {name}")
        yield from ((folder, variant or None) for folder in folders)
        return
    known = loader.content.scenarios()
    chosen = _named(name.strip("/"), known)
    if not chosen:
        raise InputError(f"no scenario {name!r}{nearest(name, known)}")
    yield from ((known[found], variant or None) for found in chosen)


def _named(name: str, known: Iterable[str]) -> list[str]:
    names = sorted(known)
    if name in names:
        return [name]
    if any(sign in name for sign in "*?["):
        return fnmatch.filter(names, name)
    family = [found for found in names if found.startswith(f"{name}/")]
    if family:
        return family
    close = [found for found in names if found.startswith(name)]
    if len(close) > 1:
        raise InputError(f"{name!r} is the beginning of several: {', '.join(close)}")
    return close or [found for found in names if found.split("/")[-1] == name]


def _suite(loader: Loader, path: Path, seen: tuple[Path, ...]) -> Iterator[tuple[Path, str | None]]:
    document = yaml_positions.load(path)
    here = path.resolve()
    if here in seen:
        raise ScenarioError([document.problem((), "suites in a circle: this one includes itself")])
    data = document.data
    if isinstance(data, dict):
        for key in data:
            if key not in SUITE_KEYS:
                message = f"unknown key {key!r}{nearest(key, SUITE_KEYS)}"
                raise ScenarioError([document.problem((key,), message)])
        data, prefix = data.get("scenarios"), ("scenarios",)
    else:
        prefix = ()  # type: ignore[assignment]
    if not isinstance(data, list) or not data:
        raise ScenarioError([document.problem(prefix, "a suite is a list of scenarios")])
    for index, item in enumerate(data):
        place = (*prefix, index)
        if not isinstance(item, str) or not item.partition("@")[0]:
            raise ScenarioError([document.problem(place, "an entry is the name of a scenario")])
        beside = path.parent / item.partition("@")[0]
        found = os.path.exists(beside)  # noqa: PTH110
        name = f"{beside}{item[len(item.partition('@')[0]) :]}" if found else item
        try:
            yield from _folders(loader, name, (*seen, here))
        except ScenarioError:
            raise
        except InputError as error:
            raise ScenarioError([document.problem(place, str(error))]) from error
