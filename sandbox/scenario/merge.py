"""Laying one scenario document over another: extensions and variants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.errors import ScenarioError, nearest
from sandbox.scenario import yaml_positions
from sandbox.scenario.content_paths import Content, scenario_id
from sandbox.scenario.yaml_positions import Located

NOT_INHERITED = ("id", "twin", "variants", "extends", "benign")


def read(folder: Path, content: Content, variant: str | None = None) -> Located:
    """Return the document of a scenario with its extensions and the variant laid in.

    Raises:
        ScenarioError: A file cannot be read, extensions go in a circle, or a name is unknown.
    """
    document = _extended(folder, content, ())
    if variant is not None:
        variants = document.data.get("variants")
        if not isinstance(variants, dict) or variant not in variants:
            message = f"no variant {variant!r}{nearest(variant, variants if isinstance(variants, dict) else ())}"
            raise ScenarioError([document.problem(("variants",), message)])
        document = overlay(document, _part(document, ("variants", variant)))
    return document


def overlay(base: Located, upper: Located) -> Located:
    """Return ``upper`` over ``base``: maps are merged, ``null`` removes a key, all else replaces."""
    places = dict(base.places)
    data = _merge(base.data, upper.data, (), places, upper.places)
    return Located(data, places)


def _extended(folder: Path, content: Content, seen: tuple[str, ...]) -> Located:
    document = yaml_positions.load(
        folder / "scenario.yaml", shown=yaml_positions.shown(folder / "scenario.yaml")
    )
    if not isinstance(document.data, dict):
        raise ScenarioError([document.problem((), "a scenario is a map of keys")])
    name = scenario_id(folder)
    base_id = document.data.get("extends")
    if base_id is None:
        return document
    if not isinstance(base_id, str):
        raise ScenarioError(
            [document.problem(("extends",), "extends: should be the id of a scenario")]
        )
    if base_id in (*seen, name):
        circle = " → ".join((*seen, name, base_id))
        raise ScenarioError([document.problem(("extends",), f"extensions in a circle: {circle}")])
    known = content.scenarios()
    beside = folder.parent.parent / base_id
    if ".." not in base_id and (beside / "scenario.yaml").is_file():
        known = {**known, base_id: beside}
    if base_id not in known:
        message = f"unknown scenario {base_id!r}{nearest(base_id, known)}"
        raise ScenarioError([document.problem(("extends",), message)])
    base = _extended(known[base_id], content, (*seen, name))
    for key in NOT_INHERITED:
        base.data.pop(key, None)
    return overlay(base, document)


def _part(document: Located, path: tuple[str, ...]) -> Located:
    data = document.data
    for key in path:
        data = data[key]
    size = len(path)
    places = {p[size:]: place for p, place in document.places.items() if p[:size] == path}
    if not isinstance(data, dict):
        raise ScenarioError([document.problem(path, "a variant is a map of what differs")])
    return Located(data, places)


def _merge(base: Any, upper: Any, path: tuple[Any, ...], places: Any, upper_places: Any) -> Any:
    if isinstance(base, dict) and isinstance(upper, dict):
        merged = dict(base)
        for key, value in upper.items():
            if value is None:
                merged.pop(key, None)
            else:
                below = (*path, key)
                merged[key] = _merge(base.get(key), value, below, places, upper_places)
        if path in upper_places:
            places[path] = upper_places[path]
        return merged
    for old in [p for p in places if p[: len(path)] == path]:
        del places[old]
    places.update({p: at for p, at in upper_places.items() if p[: len(path)] == path})
    return upper
