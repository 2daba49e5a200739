"""Laying one scenario document over another: extensions and variants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.errors import nearest
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
    if variant is None:
        return document
    variants = document.data.get("variants")
    known = variants if isinstance(variants, dict) else {}
    if variant not in known:
        raise document.error(("variants",), f"no variant {variant!r}{nearest(variant, known)}")
    part = document.part(("variants", variant))
    if not isinstance(part.data, dict):
        raise part.error((), "a variant is a map of what differs")
    return overlay(document, part)


def overlay(base: Located, upper: Located) -> Located:
    """Return ``upper`` over ``base``: maps are merged, ``null`` removes a key, all else replaces."""
    places = dict(base.places)
    data = _merge(base.data, upper.data, (), places, upper.places)
    return Located(data, places)


def _extended(folder: Path, content: Content, path: tuple[str, ...]) -> Located:
    document = yaml_positions.load(folder / "scenario.yaml")
    if not isinstance(document.data, dict):
        raise document.error((), "a scenario is a map of keys")
    path = (*path, scenario_id(folder))
    base_id = document.data.get("extends")
    if base_id is None:
        return document
    if not isinstance(base_id, str):
        raise document.error(("extends",), "extends: should be the id of a scenario")
    if base_id in path:
        circle = " → ".join((*path, base_id))
        raise document.error(("extends",), f"extensions in a circle: {circle}")
    known = content.scenarios()
    beside = folder.parent.parent / base_id
    if ".." not in base_id and (beside / "scenario.yaml").is_file():
        known = {**known, base_id: beside}
    if base_id not in known:
        raise document.error(("extends",), f"unknown scenario {base_id!r}{nearest(base_id, known)}")
    base = _extended(known[base_id], content, path)
    for key in NOT_INHERITED:
        base.data.pop(key, None)
    return overlay(base, document)


def _merge(base: Any, upper: Any, path: tuple[Any, ...], places: Any, upper_places: Any) -> Any:
    if isinstance(base, dict) and isinstance(upper, dict):
        merged = dict(base)
        for key, value in upper.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = _merge(base.get(key), value, (*path, key), places, upper_places)
        if path in upper_places:
            places[path] = upper_places[path]
        return merged
    for old in [p for p in places if p[: len(path)] == path]:
        del places[old]
    places.update({p: at for p, at in upper_places.items() if p[: len(path)] == path})
    return upper
