"""Canaries planted by declaration: into files of their own, or among the entries of a section."""

from __future__ import annotations

import copy
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import JsonValue

from sandbox.errors import nearest
from sandbox.scenario.canaries import canary_names
from sandbox.scenario.localized_text import in_language, localise
from sandbox.scenario.schema import Plant, Scenario
from sandbox.scenario.yaml_positions import Path

Wrong = Iterator[tuple[Path, str]]
"""What is wrong: where, and how."""
Shape = Callable[[str], Wrong]
"""Section → what is wrong with its shape."""


def plant_canaries(
    scenario: Scenario,
    lang: str,
    sections: dict[str, JsonValue],
    files: dict[str, bytes],
    shape: Shape,
) -> Wrong:
    """Add the entries and files that hold canaries; yield what is wrong with them.

    Args:
        scenario: It says what is planted, and where.
        lang: Language of the world.
        sections: The world's sections, changed in place.
        files: The agent's files, changed in place.
        shape: Checks a section after something was added to it.
    """
    languages = frozenset(scenario.languages) | {"en", "fr"}
    for name, canary in scenario.world.canaries.items():
        plant = canary.plant
        wrong: Wrong = iter(())
        if plant and plant.into is not None:
            item = localise(copy.deepcopy(plant.item), lang, languages)
            wrong = _entry(name, plant, item, sections, shape)
        elif plant and plant.file is not None:
            text = in_language(plant.text, lang) if plant.text else f"{{canary.{name}.file}}"
            wrong = _file(name, plant.file, text, files)
        for path, message in wrong:
            yield ("world", "canaries", name, "plant", *path), f"canary {name!r}: {message}"


def _file(name: str, file: str, text: str, files: dict[str, bytes]) -> Wrong:
    path = posixpath.normpath(file)
    if problem := _path_problem(file, path, map(posixpath.normpath, files)):
        yield ("file",), problem
    elif problem := _absence(name, text):
        yield ("text",), problem
    else:
        files[path] = text.encode()


def _entry(
    name: str, plant: Plant, item: Any, sections: dict[str, JsonValue], shape: Shape
) -> Wrong:
    if problem := _absence(name, f"{plant.key} {item}"):
        yield ("item",), problem
        return
    try:
        section, *rest = _add(sections, str(plant.into), plant.key, item)
    except ValueError as error:
        yield ("into" if plant.key is None else "key",), str(error)
        return
    for path, message in shape(str(section)):
        if [*path[: len(rest)]] == rest:
            yield ("item", *path[len(rest) :]), message


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
