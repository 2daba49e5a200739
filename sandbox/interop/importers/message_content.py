"""What stands in a message of a record: its role, its text, the model's reasoning, the calls that it asks for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import AliasChoices, BaseModel, Field, PlainValidator

from sandbox.interop.importers.imported_run import RequestedCall
from sandbox.interop.importers.record_fields import ShortText, words
from sandbox.trace.events import canonical

_DEEPEST = 64
"""Levels of nesting in a call's arguments; deeper ones exhaust whoever walks through them."""
_ROLES = ("system", "developer", "user", "assistant", "tool")
_REASONING = ("reasoning", "thinking")


def _role(value: object) -> str:
    if value not in _ROLES:
        raise ValueError(f"there is no role {str(value)[:40]!r}")
    return "system" if value == "developer" else str(value)


def _text(content: object) -> str:
    """Return the text of a message's content: a text, or a list of blocks."""
    if content is None or isinstance(content, str):
        return content or ""
    return (
        "\n".join(filter(None, map(_block, content)))
        if isinstance(content, list)
        else canonical(content)
    )


def _block(block: object) -> str:
    if isinstance(block, str):
        return block
    if not isinstance(block, Mapping) or block.get("type") in _REASONING:
        return ""
    texts = filter(
        lambda text: isinstance(text, str), map(block.get, ("text", "content", "refusal"))
    )
    return str(next(texts, f"[{words(block.get('type'), 'data')}]"))


Text = Annotated[str, PlainValidator(_text)]
"""A text, or the texts of a list of blocks."""


class RecordMessage(BaseModel):
    """What messages of all formats have in common."""

    role: Annotated[str, PlainValidator(_role)]
    content: object = None
    tool_call_id: ShortText = ""

    @property
    def text(self) -> str:
        """Its text."""
        return _text(self.content)

    @property
    def reasoning(self) -> str:
        """The reasoning among its blocks."""
        return "\n".join(
            str(next(filter(None, map(block.get, (*_REASONING, "content"))), ""))
            for block in (self.content if isinstance(self.content, list) else ())
            if isinstance(block, Mapping) and block.get("type") in _REASONING
        )


def requested_call(call_id: str, function: str, arguments: object) -> RequestedCall:
    """Return a call; arguments that no trace can hold are kept as the text they are."""
    names = call_id, function or "unnamed"
    raw = arguments if isinstance(arguments, str) else ""
    try:
        arguments = json.loads(raw or "{}") if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError):
        return RequestedCall(*names, None, raw)
    arguments = {} if arguments is None else arguments
    if isinstance(arguments, dict) and _can_be_stored(arguments, _DEEPEST):
        return RequestedCall(*names, arguments)
    return RequestedCall(*names, None, raw or json.dumps(arguments))


class RecordCall(BaseModel):
    """A call as AgentDojo (``args``) and Inspect (``arguments``) write it."""

    id: ShortText = ""
    function: ShortText
    arguments: Annotated[object, Field(validation_alias=AliasChoices("arguments", "args"))] = None

    @property
    def requested(self) -> RequestedCall:
        """The call that a model asked for."""
        return requested_call(self.id, self.function, self.arguments)


def _can_be_stored(value: object, levels: int) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, (dict, list)):
        inner = value.values() if isinstance(value, dict) else value
        return levels > 0 and all(_can_be_stored(item, levels - 1) for item in inner)
    return True
