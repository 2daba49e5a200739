"""Canaries planted by declaration: into files of their own, or among the entries of a section."""

from __future__ import annotations

import copy
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import JsonValue

from sandbox.errors import Problem, nearest
from sandbox.scenario.canaries import canary_names
from sandbox.scenario.localized_text import in_language, localise
from sandbox.scenario.schema import Scenario
from sandbox.scenario.yaml_positions import Located, Path

Shape = Callable[[str], Iterator[tuple[Path, str]]]
"""Section → what is wrong with its shape, and where."""


class Planter:
    """Plants the canaries of one scenario in one language."""

    def __init__(self, scenario: Scenario, document: Located, lang: str) -> None:
        self._document = document
        self._lang = lang
        self._languages = frozenset(scenario.languages) | {"en", "fr"}
        canaries = scenario.world.canaries.items()
        self._plants = {name: canary.plant for name, canary in canaries if canary.plant}

    def files(self, files: dict[str, bytes]) -> Iterator[Problem]:
        """Add the files that hold canaries; yield what is wrong with their paths and texts."""
        paths = {posixpath.normpath(name) for name in files}
        for name, plant in self._plants.items():
            if plant.file is None:
                continue
            path = posixpath.normpath(plant.file)
            text = in_language(plant.text, self._lang) if plant.text else f"{{canary.{name}.file}}"
            if problem := _path_problem(plant.file, path, paths):
                yield self._problem(name, "file", problem)
            elif problem := _absence(name, text):
                yield self._problem(name, "text", problem)
            else:
                paths.add(path)
                files[path] = text.encode()

    def entries(self, sections: dict[str, JsonValue], shape: Shape) -> Iterator[Problem]:
        """Add the entries that hold canaries; yield what is wrong with their places and shapes.

        Args:
            sections: The world's sections, changed in place.
            shape: Checks a section after something was added to it.
        """
        for name, plant in self._plants.items():
            if plant.into is None:
                continue
            item = localise(copy.deepcopy(plant.item), self._lang, self._languages)
            if problem := _absence(name, f"{plant.key} {item}"):
                yield self._problem(name, "item", problem)
                continue
            try:
                section, *rest = _add(sections, plant.into, plant.key, item)
            except ValueError as error:
                yield self._problem(name, "into" if plant.key is None else "key", str(error))
                continue
            for path, message in shape(str(section)):
                if [*path[: len(rest)]] == rest:
                    yield self._problem(name, "item", message, path[len(rest) :])

    def _problem(self, name: str, key: str, message: str, below: Path = ()) -> Problem:
        place = ("world", "canaries", name, "plant", key, *below)
        return self._document.problem(place, f"canary {name!r}: {message}")


def _path_problem(name: str, path: str, others: Iterable[str]) -> str:
    if path.startswith(("/", "..")) or path in ("", ".") or "\0" in path or name.endswith("/"):
        return f"{name!r} is no path of a file inside the agent's folder"
    for other in others:
        if path == other:
            return f"the file {name!r} is in the world already"
        if path.startswith(f"{other}/") or other.startswith(f"{path}/"):
            return f"{name!r} and the world's {other!r} cannot both be there"
    return ""


def _absence(name: str, text: str) -> str:
    names = {place.split(".")[0] for place in canary_names(text)}
    return "" if name in names else f"what is planted does not hold {{canary.{name}}}"


def _add(sections: dict[str, JsonValue], into: str, key: str | None, item: Any) -> Path:
    """Add an entry at its place; return the path to it.

    Raises:
        ValueError: There is no such place, or it has the entry already.
    """
    keys = into.split(".")
    target: Any = sections
    for number, step in enumerate(keys):
        if not isinstance(target, Mapping) or step not in target:
            where = ".".join(keys[:number]) or "the world of these agents"
            known = [*target] if isinstance(target, Mapping) else []
            raise ValueError(f"{where} has no {step!r}{nearest(step, known)}")
        target = target[step]
    match target, key:
        case list(), None:
            own = item.get("id") if isinstance(item, dict) else None
            if own is not None and any(i.get("id") == own for i in target if isinstance(i, dict)):
                raise ValueError(f"{into} has an entry with the id {own!r} already")
            target.append(item)
            return (*keys, len(target) - 1)
        case list(), _:
            raise ValueError(f"{into} is a list: an entry has no 'key'")
        case dict(), None:
            raise ValueError(f"{into} is a map: 'key' names the new entry")
        case dict(), _ if key in target:
            raise ValueError(f"{into} has {key!r} already")
        case dict(), str():
            target[key] = item
            return (*keys, str(key))
    raise ValueError(f"{into} is neither a list nor a map")
