"""What a scaffold hands over of a reply's calls: unchanged, edited, in its own order, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sandbox.errors import ScaffoldError, nearest
from sandbox.models.base import Message, ToolCall
from sandbox.trace.events import canonical

_EXCERPT = 200
"""Characters of a scaffold's value that an error shows."""


@dataclass(frozen=True)
class ScaffoldCalls:
    """What a scaffold made of the calls of one reply."""

    calls: tuple[ToolCall, ...]
    """To be executed, in the scaffold's order; an edited one names its original."""
    dropped: tuple[ToolCall, ...]
    """Calls of the model that it did not hand over."""


def read(reply: Sequence[ToolCall] | None, message: Any) -> ScaffoldCalls:
    """Compare the message that a scaffold hands over with the calls of the model's reply.

    Args:
        reply: The calls; None if they were handed over already.
        message: What the scaffold hands over.

    Raises:
        ScaffoldError: There is no such reply, the message is no answer, or one of its calls is not
            the reply's or stands there twice.
    """
    if reply is None:
        raise ScaffoldError("act: the model's last reply was acted on already, or there is none")
    left, calls = list(reply), []
    for call in _calls(message):
        original = _original(call, left, reply)
        left = [each for each in left if each is not original]
        calls.append(original if _same(call, original) else replace(call, original=original))
    return ScaffoldCalls(tuple(calls), tuple(left))


def as_message(text: str, calls: Sequence[ToolCall]) -> Message:
    """Return a reply as the message that a scaffold gets."""
    message: Message = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _arguments_text(call)},
            }
            for call in calls
        ]
    return message


def with_results(messages: Sequence[Message], notes: Mapping[str, Message]) -> Sequence[Message]:
    """Return a conversation in which calls that were not executed have a result: providers refuse others.

    Args:
        messages: The conversation.
        notes: Id of such a call → what stands in the place of a result.
    """
    if not notes:
        return messages
    history = list[Message]()
    missing = dict[str, Message]()
    for message in messages:
        if message["role"] == "tool":
            missing.pop(str(message.get("tool_call_id")), None)
        else:
            history += missing.values()
            ids = [call["id"] for call in message.get("tool_calls") or ()]
            missing = {key: notes[key] for key in ids if key in notes}
        history.append(message)
    return [*history, *missing.values()]


def _calls(message: Any) -> Iterator[ToolCall]:
    if not isinstance(message, dict) or message.get("role") != "assistant":
        raise ScaffoldError(f"act: the model's answer is expected, not {_excerpt(message)}")
    calls = message.get("tool_calls") or []
    more = message.get("additional_kwargs") or {}
    if not isinstance(calls, list):
        raise ScaffoldError(f"act: 'tool_calls' is no list of calls: {_excerpt(calls)}")
    if (
        not isinstance(more, dict)
        or message.get("function_call")
        or more.get("function_call")
        or (more.get("tool_calls") or calls) != calls
    ):
        raise ScaffoldError(
            "act: 'additional_kwargs' or 'function_call' holds other calls than 'tool_calls': "
            "what is to be executed stands in 'tool_calls' alone"
        )
    for call in calls:
        match call:
            case {"id": str(key), "function": {"name": str(name), "arguments": str(text)}}:
                yield ToolCall.parse(key, name, text)
            case _:
                raise ScaffoldError(f"act: no call in OpenAI's format: {_excerpt(call)}")


def _original(call: ToolCall, remaining: Sequence[ToolCall], reply: Sequence[ToolCall]) -> ToolCall:
    """Return the model's call of the same id; a model may give an id twice, then the same one first."""
    candidates = [each for each in remaining if each.id == call.id]
    if not candidates:
        known = [each.id for each in reply]
        raise ScaffoldError(
            f"act: the call {call.id!r} stands there twice"
            if call.id in known
            else f"act: the call {call.id!r} is not in the model's last reply{nearest(call.id, known)}"
        )
    return next((each for each in candidates if _same(call, each)), candidates[0])


def _same(call: ToolCall, original: ToolCall) -> bool:
    """Return whether a call is the model's; how its JSON is written does not matter."""
    if call.name != original.name:
        return False
    if call.raw == _arguments_text(original):
        return True
    sound = call.arguments is not None and original.arguments is not None
    return sound and canonical(call.arguments) == canonical(original.arguments)


def _arguments_text(call: ToolCall) -> str:
    """Return the text of a call's arguments; providers refuse a history in which it is no JSON object."""
    return "{}" if call.arguments is None else json.dumps(call.arguments)


def _excerpt(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"[:_EXCERPT]
