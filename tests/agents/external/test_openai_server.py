"""The endpoint of the run's model: what is understood, and what is refused without ending anything."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sandbox.agents.external.openai_server import LONGEST, routes
from sandbox.agents.external.session import Over, Visit
from sandbox.errors import InternalError
from sandbox.models.base import Message

CALL = {"id": "c1", "type": "function", "function": {"name": "mail_list", "arguments": "{}"}}
Answer = Message | None | type[Over]


class Visitor:
    """Answers what it is told to, and keeps what it was asked."""

    guard = Visit.guard

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked: list[Any] = []
        self.faults: list[Exception | None] = []

    def end(self, fault: Exception | None = None) -> None:
        """Note that the stay is over."""
        self.faults.append(fault)

    async def answer(self, messages: list[Message], tools: list[Any]) -> Message | None:
        """Return the answer."""
        self.asked.append((messages, tools))
        if isinstance(self._answer, type):
            raise self._answer
        return self._answer


def ask(body: Any, answer: Answer = None) -> tuple[Any, Visitor]:
    """Return the response to a request, and who was asked."""
    visitor = Visitor({"role": "assistant", "content": "Hello."} if answer is None else answer)
    client = TestClient(Starlette(routes=routes(visitor, "m/n")))  # type: ignore[arg-type]
    content = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return client.post("/v1/chat/completions", content=content), visitor


def test_messages_come_in_one_form() -> None:
    """Blocks of text, a developer's role and a missing text are taken as what they mean."""
    said = [
        {"role": "developer", "content": "a", "name": "x"},
        {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{**CALL, "index": 0}],
            "refusal": None,
        },
        {"role": "tool", "tool_call_id": "c1", "content": "d"},
    ]
    tools = [{"type": "function", "function": {"name": "mail_list"}, "strict": True}]
    response, visitor = ask({"messages": said, "tools": tools, "temperature": 0.3})
    assert response.status_code == 200
    assert visitor.asked == [
        (
            [
                {"role": "system", "content": "a"},
                {"role": "user", "content": "b\nc"},
                {"role": "assistant", "content": "", "tool_calls": [CALL]},
                {"role": "tool", "content": "d", "tool_call_id": "c1"},
            ],
            [{"type": "function", "function": {"name": "mail_list"}}],
        )
    ]


@pytest.mark.parametrize(("calls", "finish"), [([CALL], "tool_calls"), ([], "stop")])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer(calls: list[Any], finish: str, stream: bool) -> None:
    """It has the provider's form, whole or as a stream of one piece."""
    answer: Any = {
        "role": "assistant",
        "content": "Ça va.",
        **({"tool_calls": calls} if calls else {}),
    }
    asked = {"messages": [{"role": "user", "content": "x"}], "stream": stream}
    response, _ = ask(asked, answer)
    if not stream:
        (choice,) = response.json()["choices"]
        assert (choice["message"], choice["finish_reason"]) == (answer, finish)
        return
    first, last, end = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    delta = json.loads(first)["choices"][0]["delta"]
    assert delta["content"] == "Ça va."
    assert delta.get("tool_calls", []) == [{"index": 0, **call} for call in calls]
    assert json.loads(last)["choices"][0]["finish_reason"] == finish
    assert end == "[DONE]"


@pytest.mark.parametrize("answer", [Over])
def test_a_run_that_is_over(answer: type[Over]) -> None:
    """A client is told with a status that it does not try again."""
    response, _ = ask({"messages": [{"role": "user", "content": "x"}]}, answer)
    assert (response.status_code, response.json()["error"]["type"]) == (400, "run_over")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ([], "no JSON object"),
        ({}, "'messages' should be a list"),
        ({"messages": []}, "'messages' should be a list"),
        ({"messages": ["x"]}, "messages.0: the role"),
        ({"messages": [{"role": "root", "content": "x"}]}, "messages.0: the role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "only texts"),
        ({"messages": [{"role": "user", "content": 7}]}, "a list is expected, not a int"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": 1}]}]}, "without a function"),
        ({"messages": [{"role": "user", "content": "x"}], "tools": [1]}, "list of functions"),
    ],
)
def test_what_is_no_request(body: Any, problem: str) -> None:
    """Each is refused with a reason, and nobody is asked."""
    response, visitor = ask(body)
    assert (response.status_code, visitor.asked) == (400, [])
    assert problem in response.json()["error"]["message"]


def test_a_request_without_end() -> None:
    """What is larger than a request may be is not read to its end."""
    response, visitor = ask(b"x" * (LONGEST + 1))
    assert (response.status_code, visitor.asked) == (400, [])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
)


@given(JSON, JSON, JSON)
def test_any_request_has_an_answer(content: Any, calls: Any, tools: Any) -> None:
    """Whatever stands in a request, it is answered or refused."""
    message = {"role": "assistant", "content": content, "tool_calls": calls}
    response, _ = ask({"messages": [message], "tools": tools})
    assert response.status_code in (200, 400)


def test_half_a_character() -> None:
    """A model's text that is not Unicode reaches the program, and is no fault."""
    response, visitor = ask(
        {"messages": [{"role": "user", "content": "x"}]},
        {"role": "assistant", "content": "a\ud800b"},
    )
    assert response.json()["choices"][0]["message"]["content"] == "a\ud800b"
    assert visitor.faults == []


def test_a_fault_of_the_endpoint_ends_the_run() -> None:
    """What fails here by our own code is no fault of the program that would be told of it."""
    visitor = Visitor({"role": "assistant", "content": {1}})  # type: ignore[arg-type]
    app = Starlette(routes=routes(visitor, "m/n"))  # type: ignore[arg-type]
    client = TestClient(app, raise_server_exceptions=False)
    body = {"messages": [{"role": "user", "content": "x"}]}
    assert client.post("/v1/chat/completions", json=body).status_code == 500
    (fault,) = visitor.faults
    assert isinstance(fault, InternalError)
    assert str(fault).startswith(
        "internal error: TypeError at sandbox/agents/external/openai_server.py:"
    )
