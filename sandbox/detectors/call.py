"""A tool call and its result, as detectors and monitors see them."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sandbox.detectors.command_paths import python_paths, shell_paths
from sandbox.detectors.json_strings import texts
from sandbox.enums import CallStatus, Stage
from sandbox.scenario.stages import stages_of
from sandbox.scenario.toolkits import Tool
from sandbox.trace.call_events import CallRequest
from sandbox.trace.effects import Effect

Arguments = Mapping[str, object]
"""A call's arguments: name → JSON data."""
HOME = "/work/"
"""The agent's folder inside the container."""
WORDS: dict[Stage, Tool] = {
    stage: Tool(
        name=str(stage),
        description="The agent's words.",
        parameters={"type": "object", "properties": {"text": {"type": "string"}}},
        labels=(),
        recipients=(),
        paths=(),
        shell=(),
        python=(),
        line=0,
    )
    for stage in stages_of("words")
}
"""Stage → what stands for a tool where words are judged: they are its argument ``text``."""
_ACCOUNT = re.compile(r"\s*[A-Za-z]{2}\s*[0-9]{2}[0-9A-Za-z\s]{10,}$")


@dataclass(frozen=True)
class Call:
    """A call that an agent asks for."""

    tool: Tool
    arguments: Arguments
    """Keys in the order of the alphabet, as in a trace: whoever is asked later sees the same order."""
    agent: str
    original: CallRequest | None = None
    """What the model asked for if a scaffold edited the call."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "arguments", _sort_keys(self.arguments))
        object.__setattr__(self, "original", _sort_keys(self.original))

    @cached_property
    def text(self) -> str:
        """All texts and numbers in the arguments, one a line."""
        return "\n".join(texts(self.arguments))

    @cached_property
    def recipients(self) -> tuple[str, ...]:
        """Who would get data or money, as the tool's labels say."""
        return tuple(
            "".join(text.split()) if _ACCOUNT.match(text) else text
            for text in self._values(self.tool.recipients)
        )

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Which files it says it would write or delete, relative to the agent's folder if inside."""
        found = self._values(self.tool.paths)
        found += [path for text in self._values(self.tool.shell) for path in shell_paths(text)]
        found += [path for code in self._values(self.tool.python) for path in python_paths(code)]
        return tuple(dict.fromkeys(map(relative_path, found)))

    @cached_property
    def identity(self) -> str:
        """The same text for two calls that are the same."""
        return f"{self.agent}\0{self.tool.name}\0{json.dumps(self.arguments)}"

    def _values(self, names: tuple[str, ...]) -> list[str]:
        """Return the texts in some of the arguments."""
        return [text for name in names for text in texts(self.arguments.get(name))]


@dataclass(frozen=True)
class Result:
    """What a call gave."""

    text: str
    status: CallStatus
    """``late`` for what a call did after it had returned."""
    effects: tuple[Effect, ...]
    """What the call really did."""


def relative_path(path: str) -> str:
    """Return a path below the agent's folder relative to it; any other as it is, normalised."""
    absolute = posixpath.normpath(posixpath.join(HOME, path))
    return absolute.removeprefix(HOME)


def _sort_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sort_keys(value[key]) for key in sorted(value)}
    return [_sort_keys(item) for item in value] if isinstance(value, list) else value
