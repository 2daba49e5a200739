"""Toolkits read without running them: names, JSON Schemas and labels from the source's syntax tree.

No code of a tool runs in the host process. What is read here is what the model gets, what the
guest checks arguments against, and what monitors judge by.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from pydantic.json_schema import JsonSchemaValue

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
        tuples = {key: tuple(data.get(key, ())) for key in ("labels", *NAMES)}
        return cls(data["name"], data["description"], dict(data["parameters"]), **tuples, line=0)

    def as_data(self) -> dict[str, JsonValue]:
        """Return all that monitors judge by, as JSON data for the trace."""
        return {**self._shape, **{key: list(getattr(self, key)) for key in ("labels", *NAMES)}}

    @property
    def toolkit(self) -> str:
        """Name of the toolkit it belongs to."""
        return self.name.split(".")[0]

    def guest_data(self) -> dict[str, JsonValue]:
        """Return it as a guest lists it: name, description, parameters, annotations."""
        return {**self._shape, "annotations": {**self.annotations}}

    @property
    def _shape(self) -> dict[str, JsonValue]:
        return {
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
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
        self._locales: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        for root in reversed(content.roots()):
            for path in sorted((root / "tools" / "locales").glob("*.yaml")):
                self._locales[path.stem] |= yaml_positions.load(path).data or {}

    def toolkit(self, name: str) -> Toolkit:
        """Return a toolkit by name.

        Raises:
            KeyError: There is none of that name.
            ScenarioError: Its file cannot be used.
        """
        return _parse_toolkit(self._files[name])

    def toolkits(self) -> tuple[Toolkit, ...]:
        """Return all toolkits."""
        return tuple(self.toolkit(name) for name in sorted(self._files))

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

    def in_language(self, tool: Tool, lang: str) -> tuple[str, JsonSchemaValue]:
        """Return description and parameters of a tool in a language, as far as translated."""
        words = self._locales.get(lang, {}).get(tool.name)
        if not words:
            return tool.description, tool.parameters
        texts = words.get("arguments", {})
        properties = {
            name: {**schema, "description": texts[name]} if name in texts else schema
            for name, schema in tool.parameters["properties"].items()
        }
        description = words.get("description", tool.description)
        return description, {**tool.parameters, "properties": properties}


@cache
def _parse_toolkit(path: Path) -> Toolkit:
    return _Source(path).toolkit()


class _Source:
    def __init__(self, path: Path) -> None:
        self._path = path

    def toolkit(self) -> Toolkit:
        try:
            source = self._path.read_text("utf-8")
            tree = ast.parse(source)
        except (SyntaxError, ValueError) as error:  # the latter: not UTF-8, or a NUL
            reason = error.msg if isinstance(error, SyntaxError) else error
            raise self._error(getattr(error, "lineno", 0), f"not Python: {reason}") from error
        self._check_imports(tree)
        name, tools, world = self._path.stem, [], {}
        for node in tree.body:
            match node:
                case ast.FunctionDef(decorator_list=decorators):
                    tools += [self._tool(node, item) for item in decorators if _is_tool(item)]
                case ast.Assign(targets=[ast.Name(id="WORLD"), *_], value=value):
                    world = self._literal(value, "WORLD")
                case ast.AnnAssign(target=ast.Name(id="WORLD"), value=ast.expr() as value):
                    world = self._literal(value, "WORLD")
        summary = (ast.get_docstring(tree) or name).splitlines()[0]
        return Toolkit(name, self._path, summary, source, {t.name: t for t in tools}, world)

    def _error(self, line: int | None, message: str) -> ScenarioError:
        return ScenarioError([Problem(str(self._path), line or 0, message)])

    def _check_imports(self, tree: ast.Module) -> None:
        """Refuse the import of what no container has: of this package, tools get one module only."""
        for node in ast.walk(tree):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            home = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for module in (f"{home}{alias.name}" for alias in node.names):
                if module.split(".")[0] == "sandbox" and not f"{module}.".startswith(_IMPORTABLE):
                    raise self._error(
                        node.lineno,
                        f"tools cannot import {module}: they have the standard library and {SDK}",
                    )

    def _literal(self, node: ast.expr, what: str) -> Any:
        try:
            return ast.literal_eval(node)
        except (TypeError, ValueError) as error:
            raise self._error(node.lineno, f"{what} must be a literal") from error

    def _tool(self, node: ast.FunctionDef, decorator: ast.expr) -> Tool:
        keywords = decorator.keywords if isinstance(decorator, ast.Call) else ()
        labels = {k.arg: self._literal(k.value, f"label {k.arg}") for k in keywords if k.arg}
        for name in labels:
            if name not in (*FLAGS, *NAMES):
                hint = nearest(name, (*FLAGS, *NAMES))
                raise self._error(node.lineno, f"unknown label {name!r}{hint}")
        summary, meanings = _docstring(ast.get_docstring(node) or "")
        return Tool(
            name=f"{self._path.stem}.{node.name}",
            description=summary,
            parameters=self._parameters(node.args, meanings),
            labels=tuple(flag for flag in FLAGS if labels.get(flag)),
            **{name: tuple(labels.get(name, ())) for name in NAMES},
            line=node.lineno,
        )

    def _parameters(self, arguments: ast.arguments, meanings: Mapping[str, str]) -> JsonSchemaValue:
        positional = len(arguments.args) - len(arguments.defaults)
        defaults = [*[None] * positional, *arguments.defaults][1:] + arguments.kw_defaults
        properties: JsonSchemaValue = {}
        for argument, default in zip(
            [*arguments.args[1:], *arguments.kwonlyargs], defaults, strict=True
        ):
            name = argument.arg
            properties[name] = self._schema(argument.annotation, argument)
            if name in meanings:
                properties[name]["description"] = meanings[name]
            if default is not None:
                properties[name]["default"] = self._literal(default, f"default of {name}")
        return {
            "type": "object",
            "properties": properties,
            "required": [name for name, schema in properties.items() if "default" not in schema],
            "additionalProperties": False,
        }

    def _schema(self, node: ast.expr | None, argument: ast.arg) -> JsonSchemaValue:
        match node:
            case ast.Name(id=kind) if kind in _SCALARS:
                return {"type": _SCALARS[kind]}
            case ast.Constant(value=None):
                return {"type": "null"}
            case ast.BinOp(op=ast.BitOr(), left=left, right=right):
                return {"anyOf": [self._schema(left, argument), self._schema(right, argument)]}
            case ast.Subscript(value=ast.Name(id="list"), slice=item):
                return {"type": "array", "items": self._schema(item, argument)}
            case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, item])):
                return {"type": "object", "additionalProperties": self._schema(item, argument)}
            case ast.Subscript(value=ast.Name(id="Literal"), slice=item):
                values = self._literal(item, "Literal")
                return {"enum": list(values) if isinstance(values, tuple) else [values]}
        kind = ast.unparse(node) if node else "nothing"
        message = f"parameter {argument.arg!r} has the type {kind}, which tools cannot take"
        raise self._error(argument.lineno, message)


def _is_tool(decorator: ast.expr) -> bool:
    """Return whether this is a call of ``@tool(…)`` or ``@tools.tool(…)``."""
    match decorator:
        case ast.Call(func=ast.Name(id="tool") | ast.Attribute(attr="tool")):
            return True
    return False


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """Split a Google-style docstring into what the tool does and what each argument means."""
    head, _, rest = text.partition("\nArgs:\n")
    meanings: dict[str, str] = {}
    name = ""
    for line in rest.splitlines():
        if line and not line.startswith(" "):
            break
        if (start := _ARGUMENT.match(line.strip())) and len(line) - len(line.lstrip()) <= 4:
            name = start[1]
            meanings[name] = start[2]
        elif name and line.strip():
            meanings[name] += " " + line.strip()
    return " ".join(head.split()), meanings
