"""YAML read safely, with the line of every key: YAML 1.2's scalars, no tags, no cycles, no bombs."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import yaml

from sandbox.errors import Problem, ScenarioError

Path = tuple[str | int, ...]

FILE_LIMIT = 4 * 1024 * 1024
"""Bytes; a world larger than that belongs into several files."""
NODE_LIMIT = 200_000
"""Values in one file, aliases expanded."""
DEPTH_LIMIT = 50

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)$")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)?\.?[0-9]+([eE][-+]?[0-9]+)?$")
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "~": None, "": None}
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")


@dataclass
class Located:
    """A value read from a file, and where each part of it stands."""

    data: Any
    places: dict[Path, tuple[str, int]] = field(default_factory=dict)
    """Path of keys and indexes → file and line, counted from 1."""

    def place(self, path: Path) -> tuple[str, int]:
        """Return file and line of a part, or of the nearest part around it that is known."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, ("", 0))

    def problem(self, path: Path, message: str) -> Problem:
        """Return a problem at a part of this value."""
        return Problem(*self.place(path), message)

    def error(self, path: Path, message: str) -> ScenarioError:
        """Return the error of a single problem at a part of this value."""
        return ScenarioError([self.problem(path, message)])

    def part(self, path: Path) -> Located:
        """Return a copy of a part that is there."""
        data, size = self.data, len(path)
        for key in path:
            data = data[key]
        below = {p[size:]: place for p, place in self.places.items() if p[:size] == path}
        return Located(copy.deepcopy(data), below)


def load(path: FilePath) -> Located:
    """Read one YAML file.

    Raises:
        ScenarioError: It cannot be read, is not YAML, or is refused for its size or shape.
    """
    name = display_path(path)
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_LIMIT + 1)
    except OSError as error:
        raise _refusal(name, 0, f"cannot be read: {error.strerror}") from error
    if len(raw) > FILE_LIMIT:
        raise _refusal(name, 0, f"is larger than {FILE_LIMIT // 1024 // 1024} MiB")
    try:
        return parse(raw.decode("utf-8"), name)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise _refusal(name, line, "is not UTF-8 text") from error


def display_path(path: FilePath) -> str:
    """Return how errors call a file: relative to the current folder if it lies there."""
    try:
        return str(path.resolve().relative_to(FilePath.cwd()))
    except ValueError:
        return str(path)


def parse(text: str, name: str) -> Located:
    """Read YAML from a text; see :func:`load`."""
    if control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
        raise _refusal(name, line, f"control character U+{ord(control[0]):04X}")
    try:
        _check_depth(text, name)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(filter(None, (error.problem, error.context)))
        raise _refusal(name, mark.line + 1 if mark else 0, f"not YAML: {reason}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise _refusal(name, 0, f"not YAML: {error}") from error
    if node is None:
        return Located(None, {(): (name, 0)})
    builder = _Builder(name)
    return Located(builder.build(node, ()), builder.places)


def _check_depth(text: str, name: str) -> None:
    """Refuse deep nesting before it is composed: libyaml's binding recurses without bound in C."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_LIMIT:
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise _refusal(name, line, f"nested deeper than {DEPTH_LIMIT} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _refusal(name: str, line: int, message: str) -> ScenarioError:
    return ScenarioError([Problem(name, line, message)])


class _Builder:
    def __init__(self, name: str) -> None:
        self.places: dict[Path, tuple[str, int]] = {}
        self._name = name
        self._count = 0
        self._open: set[int] = set()

    def build(self, node: yaml.Node, path: Path) -> Any:
        self.places.setdefault(path, (self._name, node.start_mark.line + 1))
        self._count += 1
        if self._count > NODE_LIMIT:
            raise self._refusal(node, f"more than {NODE_LIMIT} values, aliases expanded")
        if len(path) > DEPTH_LIMIT:
            raise self._refusal(node, f"nested deeper than {DEPTH_LIMIT} levels")
        if id(node) in self._open:
            raise self._refusal(node, "an alias that holds itself")
        self._check_tag(node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.Node, path: Path) -> dict[str, object]:
        result: dict[str, object] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._refusal(key_node, "a key must be a plain text")
            self._check_tag(key_node, "merge")
            key = key_node.value
            if key == "<<" and not key_node.style:
                raise self._refusal(key_node, "merge keys (<<) are not supported: use 'extends'")
            if key in result:
                raise self._refusal(key_node, f"the key {key!r} stands twice")
            self.places[(*path, key)] = (self._name, key_node.start_mark.line + 1)
            result[key] = self.build(value_node, (*path, key))
        return result

    def _check_tag(self, node: yaml.Node, *more: str) -> None:
        if node.tag.removeprefix(_TAG) not in (*_TAGS, *more):
            raise self._refusal(node, f"the tag {node.tag!r} is not supported")

    def _refusal(self, node: yaml.Node, message: str) -> ScenarioError:
        return _refusal(self._name, node.start_mark.line + 1, message)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        value: str = node.value
        if node.style:
            return value
        if value.lower() in _WORDS:
            return _WORDS[value.lower()]
        if len(value) < 40:  # longer runs of digits are texts such as account numbers
            if _INT.match(value):
                return int(value)
            if _FLOAT.match(value) and ("." in value or "e" in value.lower()):
                return float(value)
        return value


_TAG = "tag:yaml.org,2002:"
_TAGS = ("str", "int", "float", "bool", "null", "timestamp", "value", "seq", "map")
