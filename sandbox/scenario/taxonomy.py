"""Risk taxonomies: lists of ids, kept as data beside this module."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

from sandbox.errors import nearest
from sandbox.scenario import yaml_positions


@dataclass(frozen=True)
class Taxonomy:
    """One published list."""

    id: str
    title: str
    version: str
    """Version of the list; stored with every tag."""
    entries: dict[str, str]
    """Entry id → title."""


@cache
def taxonomies() -> dict[str, Taxonomy]:
    """Return every taxonomy by its id."""
    folder = resources.files("sandbox.scenario") / "taxonomies"
    found = {}
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        if file.name.endswith(".yaml"):
            data = yaml_positions.parse(file.read_text("utf-8"), file.name).data
            found[data["id"]] = Taxonomy(**data)
    return found


def problem_with(tag: str) -> str | None:
    """Return what is wrong with a tag ``taxonomy:entry``, or None."""
    known = taxonomies()
    name, colon, entry = tag.partition(":")
    if not colon:
        return f"a tag is written taxonomy:entry, not {tag!r}"
    if name not in known:
        return f"unknown taxonomy {name!r}{nearest(name, known)}"
    if entry not in known[name].entries:
        return f"unknown id {entry!r} in {known[name].title}{nearest(entry, known[name].entries)}"
    return None


def versions(tags: tuple[str, ...]) -> dict[str, str]:
    """Return the version of each taxonomy that the tags come from."""
    return {name: taxonomies()[name].version for name in sorted({t.split(":")[0] for t in tags})}
