"""Toolkits read without running them: names, JSON Schemas and labels from the source's syntax tree.

No code of a tool runs in the host process. What is read here is what the model is told, what the
guest checks arguments against, and what monitors judge by.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.errors import Problem, ScenarioError, nearest
from sandbox.scenario import yaml_positions
from sandbox.scenario.content_paths import Content

FLAGS = ("reads_untrusted", "reads_sensitive", "writes_external", "irreversible", "changes_world")
NAMES = ("recipients", "paths", "shell", "python")
SDK = "sandbox.sdk.tools"
_IMPORTABLE = (f"{SDK}.", "sandbox.guest.toolkit.")
"""What a toolkit may import of this package, and what it did before there was the former."""
_SCALARS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "None": "null"}
_ARGUMENT = re.compile(r"^(\w+)(?: \([^)]*\))?: (.*)$")


@dataclass(frozen=True)
class Tool:
    """What is known of one tool."""

    name: str
    """``toolkit.function``."""
    description: str
    parameters: dict[str, Any]
    """JSON Schema of the arguments, an object."""
    labels: tuple[str, ...]
    """Those of :data:`FLAGS` that hold."""
    recipients: tuple[str, ...]
    """Parameters that say who gets the data or the money."""
    paths: tuple[str, ...]
    """Parameters that are paths of files which it writes or deletes."""
    shell: tuple[str, ...]
    """Parameters that are shell commands."""
    python: tuple[str, ...]
    """Parameters that are Python code."""
    line: int

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Tool:
        """Return a tool as a trace tells of it; see :meth:`as_data`.

        Raises:
            KeyError: Name, description or parameters are missing.
        """
        named = {key: tuple(data.get(key, ())) for key in ("labels", *NAMES)}
        return cls(data["name"], data["description"], dict(data["parameters"]), **named, line=0)

    def as_data(self) -> dict[str, object]:
        """Return all that monitors judge by, as JSON data for the trace."""
        base = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return base | {key: list(getattr(self, key)) for key in ("labels", *NAMES)}

    @property
    def toolkit(self) -> str:
        """Name of the toolkit it belongs to."""
        return self.name.split(".")[0]

    def guest_data(self) -> dict[str, Any]:
        """Return it as a guest lists it: name, description, parameters, annotations."""
        return {
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
            "annotations": self.annotations,
        }

    @property
    def annotations(self) -> dict[str, bool]:
        """MCP's hints for this tool (https://modelcontextprotocol.io, ToolAnnotations)."""
        reads_only = not self.paths and not set(FLAGS[2:]) & set(self.labels)
        return {
            "readOnlyHint": reads_only,
            "destructiveHint": "irreversible" in self.labels,
            "openWorldHint": bool({"writes_external", "reads_untrusted"} & set(self.labels)),
        }


@dataclass(frozen=True)
class Toolkit:
    """One file of tools."""

    name: str
    path: Path
    description: str
    source: str = field(repr=False)
    tools: dict[str, Tool]
    world: dict[str, dict[str, Any]]
    """World section → JSON Schema of its data."""


class Catalogue:
    """The toolkits of a workspace, read when first asked for."""

    def __init__(self, content: Content) -> None:
        self._files = content.files("tools", (".py",))
        self._locales = _locales(content)

    def names(self) -> tuple[str, ...]:
        """Return the names of all toolkits."""
        return tuple(sorted(self._files))

    def toolkit(self, name: str) -> Toolkit:
        """Return a toolkit by name.

        Raises:
            KeyError: There is none of that name.
            ScenarioError: Its file cannot be used.
        """
        return _parse_toolkit(self._files[name])

    def toolkits(self) -> tuple[Toolkit, ...]:
        """Return all toolkits."""
        return tuple(self.toolkit(name) for name in self.names())

    def problem_with(self, name: str) -> str | None:
        """Return what is wrong with the name of a toolkit or of a tool, or None."""
        toolkit, _, function = name.partition(".")
        if toolkit not in self._files:
            return f"unknown toolkit {toolkit!r}{nearest(toolkit, self._files)}"
        if function and name not in self.toolkit(toolkit).tools:
            return f"unknown tool {name!r}{nearest(name, self.toolkit(toolkit).tools)}"
        return None

    def expand(self, names: tuple[str, ...]) -> tuple[Tool, ...]:
        """Return the tools meant by names of toolkits and of tools, in order, each once."""
        found: dict[str, Tool] = {}
        for name in names:
            toolkit = self.toolkit(name.partition(".")[0])
            chosen = [toolkit.tools[name]] if "." in name else toolkit.tools.values()
            found.update((tool.name, tool) for tool in chosen)
        return tuple(found.values())

    def in_language(self, tool: Tool, lang: str) -> tuple[str, dict[str, Any]]:
        """Return description and parameters of a tool in a language, as far as translated."""
        words = self._locales.get(lang, {}).get(tool.name)
        if not words:
            return tool.description, tool.parameters
        given = words.get("arguments", {})
        properties = {
            name: {**schema, "description": given[name]} if name in given else schema
            for name, schema in tool.parameters["properties"].items()
        }
        description = words.get("description", tool.description)
        return description, {**tool.parameters, "properties": properties}


def _locales(content: Content) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for root in reversed(content.roots()):
        for path in sorted((root / "tools" / "locales").glob("*.yaml")):
            found.setdefault(path.stem, {}).update(yaml_positions.load(path).data or {})
    return found


@cache
def _parse_toolkit(path: Path) -> Toolkit:
    try:
        source = path.read_text("utf-8")
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ScenarioError(
            [Problem(str(path), error.lineno or 0, f"not Python: {error.msg}")]
        ) from error
    except ValueError as error:  # not UTF-8, or a NUL
        raise ScenarioError([Problem(str(path), 0, f"not Python: {error}")]) from error
    if problem := _import_problem(path, tree):
        raise ScenarioError([problem])
    tools: dict[str, Tool] = {}
    world: dict[str, dict[str, Any]] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and (call := _decorator(node)) is not None:
            found = _Reader(path, node).tool(path.stem, call)
            tools[found.name] = found
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and _target(node) == "WORLD":
            world = _literal(path, node.value, "WORLD")
    summary = (ast.get_docstring(tree) or path.stem).splitlines()[0]
    return Toolkit(path.stem, path, summary, source, tools, world)


def _import_problem(path: Path, tree: ast.Module) -> Problem | None:
    """Return the first import of what no container has: of this package, tools get one module only."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        home = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        for module in (f"{home}{alias.name}" for alias in node.names):
            if module.partition(".")[0] == "sandbox" and not f"{module}.".startswith(_IMPORTABLE):
                message = f"tools cannot import {module}: they have the standard library and {SDK}"
                return Problem(str(path), node.lineno, message)
    return None


def _decorator(node: ast.FunctionDef) -> ast.Call | None:
    """Return the call of ``@tool(…)`` or ``@tools.tool(…)``."""
    for item in node.decorator_list:
        if isinstance(item, ast.Call):
            name = item.func.attr if isinstance(item.func, ast.Attribute) else item.func
            if name == "tool" or (isinstance(name, ast.Name) and name.id == "tool"):
                return item
    return None


def _target(node: ast.Assign | ast.AnnAssign) -> str | None:
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    return target.id if isinstance(target, ast.Name) else None


def _literal(path: Path, node: ast.expr | None, what: str) -> Any:
    try:
        return ast.literal_eval(node) if node is not None else None
    except (TypeError, ValueError) as error:
        line = getattr(node, "lineno", 0)
        raise ScenarioError([Problem(str(path), line, f"{what} must be a literal")]) from error


class _Reader:
    """Reads one function of a toolkit."""

    def __init__(self, path: Path, node: ast.FunctionDef) -> None:
        self._path = path
        self._node = node

    def tool(self, toolkit: str, decorator: ast.Call) -> Tool:
        labels = {
            item.arg: _literal(self._path, item.value, f"label {item.arg}")
            for item in decorator.keywords
            if item.arg
        }
        for name in labels:
            if name not in (*FLAGS, *NAMES):
                raise self._error(f"unknown label {name!r}{nearest(name, (*FLAGS, *NAMES))}")
        summary, described = _docstring(ast.get_docstring(self._node) or "")
        return Tool(
            name=f"{toolkit}.{self._node.name}",
            description=summary,
            parameters=self._parameters(described),
            labels=tuple(flag for flag in FLAGS if labels.get(flag)),
            **{name: tuple(labels.get(name, ())) for name in NAMES},
            line=self._node.lineno,
        )

    def _parameters(self, described: dict[str, str]) -> dict[str, Any]:
        arguments = self._node.args
        names = [*arguments.args[1:], *arguments.kwonlyargs]
        padded = [None] * (len(arguments.args) - len(arguments.defaults)) + [*arguments.defaults]
        defaults = [*padded[1:], *arguments.kw_defaults]
        properties: dict[str, Any] = {}
        required = []
        for argument, default in zip(names, defaults, strict=True):
            schema = self._schema(argument.annotation, argument.arg)
            if argument.arg in described:
                schema["description"] = described[argument.arg]
            if default is None:
                required.append(argument.arg)
            else:
                schema["default"] = _literal(self._path, default, f"default of {argument.arg}")
            properties[argument.arg] = schema
        return {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }

    def _schema(self, node: ast.expr | None, name: str) -> dict[str, Any]:
        match node:
            case ast.Name(id=kind) if kind in _SCALARS:
                return {"type": _SCALARS[kind]}
            case ast.Constant(value=None):
                return {"type": "null"}
            case ast.BinOp(op=ast.BitOr(), left=left, right=right):
                return {"anyOf": [self._schema(left, name), self._schema(right, name)]}
            case ast.Subscript(value=ast.Name(id="list"), slice=item):
                return {"type": "array", "items": self._schema(item, name)}
            case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, item])):
                return {"type": "object", "additionalProperties": self._schema(item, name)}
            case ast.Subscript(value=ast.Name(id="Literal"), slice=item):
                values = _literal(self._path, item, "Literal")
                return {"enum": list(values) if isinstance(values, tuple) else [values]}
        shown = ast.unparse(node) if node else "nothing"
        raise self._error(f"parameter {name!r} has the type {shown}, which tools cannot take")

    def _error(self, message: str) -> ScenarioError:
        return ScenarioError([Problem(str(self._path), self._node.lineno, message)])


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """Split a Google-style docstring into what the tool does and what each argument means."""
    head, _, rest = text.partition("\nArgs:\n")
    described: dict[str, str] = {}
    name = ""
    for line in rest.splitlines():
        if line and not line.startswith(" "):
            break
        if (found := _ARGUMENT.match(line.strip())) and len(line) - len(line.lstrip()) <= 4:
            name = found[1]
            described[name] = found[2]
        elif name and line.strip():
            described[name] += " " + line.strip()
    return " ".join(head.split()), described
