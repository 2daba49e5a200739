"""The run's model as an endpoint like OpenAI's ``/v1/chat/completions``, for programs that are to use it.

What a program sets for its model (temperature, length …) is not taken over: the run's model has the parameters
that the run was started with, and they are on its record. Texts only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from sandbox.agents.external.session import Over, Visit
from sandbox.models.base import FunctionTool, Message
from sandbox.trace.model_events import WireCall

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

LONGEST = 16 * 1024 * 1024
"""Bytes of one request."""
_TOOL_KEYS: tuple[Literal["tool_call_id", "name"], ...] = ("tool_call_id", "name")
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


class UnusableRequest(ValueError):
    """A request that is no chat request; its text says why."""


def routes(visit: Visit, model: str) -> list[Route]:
    """Return the endpoint's routes.

    Args:
        visit: The stay of the agent that will ask.
        model: The model's name, as the program reads it.
    """
    from starlette.requests import ClientDisconnect
    from starlette.responses import Response, StreamingResponse
    from starlette.routing import Route

    def response(data: Mapping[str, object], status: int = 200) -> Response:
        # plain ASCII: a model's text may hold half a character
        return Response(json.dumps(data), status, media_type="application/json")

    async def models(_request: Request) -> Response:
        listed = {"id": model, "object": "model", "owned_by": "agent-risk-sandbox"}
        return response({"object": "list", "data": [listed]})

    async def completions(request: Request) -> Response:
        with visit.guard(ClientDisconnect):
            return await complete(request)

    async def complete(request: Request) -> Response:
        try:
            body = _parse(await _body(request))
            answer = await visit.answer(_messages(body), _tools(body))
        except UnusableRequest as error:
            return refusal(str(error), "invalid_request_error")
        except Over:
            answer = None
        if answer is None:  # a status that clients do not try again
            return refusal("the run is over: a limit or oversight has ended it", "run_over")
        if body.get("stream"):
            return StreamingResponse(_stream(answer, model), media_type="text/event-stream")
        choice = {"index": 0, "message": answer, "finish_reason": _finish(answer)}
        return response({**_head(model, "chat.completion"), "choices": [choice]})

    def refusal(text: str, kind: str) -> Response:
        return response({"error": {"message": text, "type": kind}}, 400)

    return [
        Route("/v1/models", models),
        Route("/v1/chat/completions", completions, methods=["POST"]),
    ]


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LONGEST:
            raise UnusableRequest(f"a request may have {LONGEST} bytes")
        parts.append(part)
    return b"".join(parts)


def _parse(text: bytes) -> Mapping[str, object]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise UnusableRequest("the body is not JSON") from None
    if not isinstance(body, dict):
        raise UnusableRequest("the body is no JSON object")
    return body


def _messages(body: Mapping[str, object]) -> list[Message]:
    items = body.get("messages")
    if not isinstance(items, list) or not items:
        raise UnusableRequest("'messages' should be a list with something in it")
    return [_message(item, place) for place, item in enumerate(items)]


def _message(item: Any, place: int) -> Message:
    """Return a message in the one form that a run keeps: what is said twice is then on record once."""
    role = item.get("role") if isinstance(item, dict) else None
    if not isinstance(role, str) or role not in _ROLES:
        raise UnusableRequest(
            f"messages.{place}: the role should be one of {', '.join(sorted(_ROLES))}"
        )
    message: Message = {
        "role": "system" if role == "developer" else role,
        "content": _text(item.get("content"), place),
    }
    if role == "tool":
        if item.get("tool_call_id"):
            message["tool_call_id"] = str(item["tool_call_id"])
        if item.get("name"):
            message["name"] = str(item["name"])
    if calls := item.get("tool_calls"):
        message["tool_calls"] = [_call(call, place) for call in _items(calls, place)]
    return message


def _call(call: Any, place: int) -> WireCall:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise UnusableRequest(f"messages.{place}: a call without a function")
    name, arguments = str(function.get("name")), str(function.get("arguments") or "{}")
    return {
        "id": str(call.get("id")),
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _text(content: Any, place: int) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    texts = [
        part.get("text") if isinstance(part, dict) else None for part in _items(content, place)
    ]
    if not all(isinstance(text, str) for text in texts):
        raise UnusableRequest(f"messages.{place}: only texts are understood")
    return "\n".join(map(str, texts))


def _tools(body: Mapping[str, object]) -> list[FunctionTool]:
    tools = body.get("tools") or []
    if not isinstance(tools, list) or not all(
        isinstance(tool, dict) and isinstance(tool.get("function"), dict) for tool in tools
    ):
        raise UnusableRequest("'tools' should be a list of functions")
    return [{"type": "function", "function": tool["function"]} for tool in tools]


def _items(value: object, place: int) -> list[object]:
    if not isinstance(value, list):
        raise UnusableRequest(f"messages.{place}: a list is expected, not a {type(value).__name__}")
    return value


def _head(model: str, kind: str) -> dict[str, object]:
    now = time.time_ns()
    return {"id": f"chatcmpl-{now:x}", "object": kind, "created": now // 10**9, "model": model}


def _finish(answer: Message) -> str:
    return "tool_calls" if answer.get("tool_calls") else "stop"


def _stream(answer: Message, model: str) -> Iterator[str]:
    head = _head(model, "chat.completion.chunk")
    delta: dict[str, object] = dict(answer)
    if calls := answer.get("tool_calls"):
        delta["tool_calls"] = [{"index": place, **call} for place, call in enumerate(calls)]
    for part, finish in ((delta, None), ({}, _finish(answer))):
        choice = {"index": 0, "delta": part, "finish_reason": finish}
        yield f"data: {json.dumps({**head, 'choices': [choice]})}\n\n"
    yield "data: [DONE]\n\n"
