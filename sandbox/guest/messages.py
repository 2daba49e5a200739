"""The shape of what a guest sends to the engine, which checks it: a tool shares the guest's process.

This module stays outside of containers: it is there for the engine and for the type checker.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,  # pydantic wants its own before Python 3.12
    TypeVar,
    cast,
)

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

Schema = TypeVar("Schema")


class InvalidMessage(ValueError):
    """What no sound guest sends."""


def validate(schema: type[Schema], message: object, what: str) -> Schema:
    """Return a message as it is, if it has its schema; keys beside those of the schema may be there.

    Raises:
        InvalidMessage: It has not. What is wrong is named, not repeated.
    """
    try:
        _adapter(cast("Hashable", schema)).validate_python(message, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidMessage(f"{what} cannot be read: {place}: {first['msg']}") from None
    return cast("Schema", message)


@cache
def _adapter(schema: Hashable) -> TypeAdapter[object]:
    return TypeAdapter(cast("Any", schema))


Kind = Literal["world", "file"]
Action = Literal["change", "create", "write", "delete", "read", "rename", "mode"]
Status = Literal["done", "denied", "attempted"]
Source = Literal["world", "manifest", "tool"]


class GuestEffect(TypedDict):
    """An effect that a guest sees; see ``docs/events.md``. What others see is not for it to tell."""

    kind: Kind
    action: Action
    target: str
    status: Status
    source: Source
    detail: dict[str, Any]


class CommandLog(TypedDict):
    """What a tracer logged of one call's command since the last time."""

    call: str
    pid: int
    cwd: str
    log: str
    dropped: int
    """Lines beyond the limit."""


class Denial(TypedDict):
    """A system call that the filter refused."""

    call: str
    pid: int
    number: int
    arguments: Annotated[list[int], Field(min_length=6, max_length=6)]


class Records(TypedDict):
    """What was recorded since the last time."""

    logs: list[CommandLog]
    denials: list[Denial]
    denials_dropped: int
    lost: str
    """Why the record of commands is not complete, if it is not."""


class CallRecords(Records):
    """The same, with changes of files and of the world."""

    effects: list[GuestEffect]
    dropped: int
    """Effects beyond the limit."""


class ResultMeta(CallRecords):
    """What comes with the text of a result."""

    status: Literal["ok", "error", "invalid", "fault"]
    fault: str | None
    """End of the tool's traceback, or why the record of its effects is not complete."""
    seconds: float


class TextContent(TypedDict):
    """A piece of a result; there is one."""

    text: str


class ToolResult(TypedDict):
    """The answer to ``tools/call``."""

    content: Annotated[list[TextContent], Field(min_length=1)]
    _meta: ResultMeta


class Snapshot(TypedDict):
    """The answer to ``sandbox/snapshot``."""

    sections: dict[str, Any]
    files: dict[str, str]


class NetworkMessage(TypedDict):
    """What one end of the network tells the other of a stream, or of a question."""

    stream: int
    event: str
    port: NotRequired[int]
    data: NotRequired[str]
    """Base64."""
    bytes: NotRequired[int]
