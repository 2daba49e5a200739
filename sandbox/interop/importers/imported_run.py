"""What every importer reads its format into: one run, as a conversation with calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sandbox.errors import Problem
from sandbox.scenario.validation import JsonObject


@dataclass(frozen=True, slots=True)
class RequestedCall:
    """A call that a model asked for."""

    id: str
    """As recorded; may be empty or stand there twice."""
    function: str
    """As the model wrote it."""
    arguments: JsonObject | None
    """None if they are no JSON object, or one that no trace can hold."""
    raw: str = ""
    """What the model wrote, if there are no arguments."""


@dataclass(frozen=True, slots=True)
class ImportedMessage:
    """One message of a conversation."""

    role: str
    """``system``, ``user``, ``assistant`` or ``tool``."""
    text: str
    reasoning: str = ""
    calls: tuple[RequestedCall, ...] = ()
    """What an assistant's message asks for."""
    answers: str = ""
    """Id of the call that a tool's message answers; may be empty."""
    function: str = ""
    """Function that a tool's message is of, if the record says."""
    failed: bool = False
    """Whether the tool refused or broke."""
    own: RequestedCall | None = None
    """The call as a tool's message repeats it, if it does."""
    usage: Mapping[str, float] = field(default_factory=dict)
    """``input_tokens``, ``output_tokens``, ``cost_eur``, if they are known."""
    model: str = ""
    seconds: float = 0.0
    at: float | None = None
    """Seconds since the epoch, if the record says."""


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool as a record defines it."""

    function: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True)
class ImportedRun:
    """One run read from a file of another program."""

    origin: str
    sha256: str
    """Of the record's content: the run's id comes from it, so that nothing is imported twice."""
    scenario: str
    family: str
    model: str
    toolkit: str
    """Stands before the names of functions that have no toolkit of their own."""
    messages: tuple[ImportedMessage, ...]
    tools: tuple[ToolDefinition, ...] = ()
    """As far as the record defines them; all others are inferred from the calls."""
    benign: bool = False
    task: str = "incapable"
    """``done``, ``incapable`` or ``error``."""
    reason: str = ""
    lang: str = "en"
    started: float | None = None
    """Seconds since the epoch; None if the record has no time."""
    seconds: float = 0.0
    path: str = ""
    """The record's own name; labels in a file refer to it."""
    line: int = 0
    """Where it stands in its file, counted from 1."""
    evaluation: Mapping[str, object] = field(default_factory=dict)
    """What evaluation needs and no monitor may see: suite, tasks, attack."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Label → value as the record publishes it."""

    def __post_init__(self) -> None:
        if not self.messages:
            raise ValueError("it has no messages")


class Importer(Protocol):
    """Reads one format."""

    @property
    def name(self) -> str:
        """The format; the ``origin`` of its runs."""
        ...

    def recognises(self, path: Path, first: JsonObject) -> bool:
        """Return whether a file is of this format, by its name and its first object."""
        ...

    def read(self, path: Path) -> Iterator[ImportedRun | Problem]:
        """Yield the runs of a file, and a problem for each record that cannot be used.

        Raises:
            InputError: The file as a whole cannot be read.
        """
        ...
