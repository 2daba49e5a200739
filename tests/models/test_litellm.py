"""Real models through LiteLLM, against a real HTTP server on loopback."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from sandbox.errors import InputError, ModelError
from sandbox.models.base import Message, Model, ModelRequest, Reply, function_schema
from sandbox.models.options import PROVIDER, ModelOption
from sandbox.models.resolve import resolve
from sandbox.scenario.instance import Instance
from sandbox.scenario.loader import Loader
from sandbox.scenario.selection import select
from tests.support.chat_server import ChatServer, failure, hang, no_choice, raw, reply, tool_call
from tests.support.runner import SCENARIO

MESSAGES: list[Message] = [{"role": "user", "content": "Good day."}]


@pytest.fixture(scope="module")
def instance(loader: Loader) -> Instance:
    """Any scenario: a provider does not look at it."""
    return select(loader, [SCENARIO])[0].instance("en", 0)


@pytest.fixture
def bind(instance: Instance) -> Any:
    """Return a model by name, bound to a run."""
    return lambda name: resolve(name)(instance)


async def ask(model: Model, retries: list[Any] | None = None, tools: tuple[Any, ...] = ()) -> Reply:
    """Ask a model one question; note its retries."""
    noted = [] if retries is None else retries
    return await model.complete(
        ModelRequest("clerk", 0, MESSAGES, tools), lambda *retry: noted.append(retry)
    )


async def test_a_plain_reply(chat_server: ChatServer, bind: Any) -> None:
    """Text, reason to stop and the provider's name for the model come back."""
    chat_server.does(reply("Bonjour."))
    answer = await ask(bind(chat_server.model()))
    assert (answer.text, answer.finish, answer.model) == ("Bonjour.", "stop", "test-1")


async def test_what_is_sent(chat_server: ChatServer, bind: Any) -> None:
    """The server gets messages, tools and the model's parameters, and none of the sandbox's own."""
    chat_server.does(reply())
    tool = function_schema("mail.list", "List mails.", {"type": "object", "properties": {}})
    await ask(bind(chat_server.model(temperature=0.5, seed=7, max_tokens=99)), tools=(tool,))
    expected = {
        "model": "test",
        "messages": MESSAGES,
        "tools": [tool],
        "temperature": 0.5,
        "seed": 7,
        "max_tokens": 99,
    }
    assert expected == {k: v for k, v in chat_server.requests[0].items() if k != "stream"}


TEXTS = {"reasoning_effort": "low", "tool_choice": "auto"}
SENT = [option for option in PROVIDER if option.for_provider and option.name != "api_version"]


@pytest.mark.parametrize("option", SENT, ids=lambda option: option.name)
async def test_every_option_arrives(
    chat_server: ChatServer, bind: Any, option: ModelOption
) -> None:
    """An option that is the provider's to read reaches a server, under its name and as it was written."""
    chat_server.does(reply())
    value = TEXTS.get(option.name) or option.kind(1)
    tool = function_schema("mail.list", "List mails.", {"type": "object", "properties": {}})
    name = chat_server.model("hosted_vllm/test", **{option.name: value})
    await ask(bind(name), tools=(tool,))
    assert chat_server.requests[0][option.name] == value


async def test_parallel_calls(chat_server: ChatServer, bind: Any) -> None:
    """Several calls in one reply keep their order, ids and arguments."""
    chat_server.does(
        reply(None, tool_call("mail_list", {}, "a"), tool_call("mail_read", {"id": 3}, "b"))
    )
    answer = await ask(bind(chat_server.model()))
    found = [(call.id, call.name, call.arguments) for call in answer.calls]
    assert found == [("a", "mail_list", {}), ("b", "mail_read", {"id": 3})]


async def test_reasoning_is_kept_apart(chat_server: ChatServer, bind: Any) -> None:
    """Reasoning text is kept, and is not part of the answer."""
    chat_server.does(reply("Four.", reasoning_content="Two and two."))
    answer = await ask(bind(chat_server.model()))
    assert (answer.text, answer.reasoning) == ("Four.", "Two and two.")


async def test_usage(chat_server: ChatServer, bind: Any) -> None:
    """Tokens are counted, and a model without a listed price is said to have none."""
    chat_server.does(
        reply(usage={"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150})
    )
    usage = (await ask(bind(chat_server.model()))).usage
    assert (usage.input_tokens, usage.output_tokens, usage.price_known) == (120, 30, False)


async def test_no_usage(chat_server: ChatServer, bind: Any) -> None:
    """A server that counts nothing gives a reply of no tokens."""
    chat_server.does(reply(usage=None))
    assert (await ask(bind(chat_server.model()))).usage.tokens == 0


async def test_price_in_euros(chat_server: ChatServer, bind: Any) -> None:
    """A listed price is turned into euros at the stated rate."""
    chat_server.does(
        reply(usage={"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000})
    )
    one = await ask(bind(chat_server.model("openai/gpt-4o", eur_per_usd=1)))
    two = await ask(bind(chat_server.model("openai/gpt-4o", eur_per_usd=2)))
    assert one.usage.price_known
    assert two.usage.cost_eur == pytest.approx(2 * one.usage.cost_eur)
    assert one.usage.cost_eur > 0


async def test_a_fault_that_passes(chat_server: ChatServer, bind: Any) -> None:
    """Two answers of 429 and then a reply are one reply and two retries."""
    chat_server.does(failure(429, "slow down"), failure(429, "slow down"), reply("Here."))
    retries: list[Any] = []
    answer = await ask(bind(chat_server.model()), retries)
    assert answer.text == "Here."
    assert [attempt for attempt, _, _ in retries] == [1, 2]
    assert all("RateLimitError" in reason and "slow down" in reason for _, reason, _ in retries)


async def test_a_fault_that_stays(chat_server: ChatServer, bind: Any) -> None:
    """A server that answers 500 for ever is asked as often as stated, then it is an error."""
    chat_server.does(failure(500, "broken"))
    with pytest.raises(ModelError, match="broken"):
        await ask(bind(chat_server.model(attempts=2)))
    assert len(chat_server.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_fault_of_the_request(chat_server: ChatServer, bind: Any, status: int) -> None:
    """What will not pass is not tried again."""
    chat_server.does(failure(status, "not like this"))
    with pytest.raises(ModelError, match="not like this"):
        await ask(bind(chat_server.model()))
    assert len(chat_server.requests) == 1


async def test_a_server_that_hangs(chat_server: ChatServer, bind: Any) -> None:
    """No answer in time is an error, after the stated attempts."""
    chat_server.does(hang)
    with pytest.raises(ModelError, match="Timeout"):
        await ask(bind(chat_server.model(attempts=2, timeout=0.3)))
    assert len(chat_server.requests) == 2


@pytest.mark.parametrize(
    "behaviour",
    [
        no_choice(),
        raw(200, b"<html><body>Welcome</body></html>", "text/html"),
        raw(200, b'{"choices": [', "application/json"),
        raw(200, b"", "application/json"),
        raw(200, b"null", "application/json"),
        raw(200, {"choices": [{"index": 0, "finish_reason": "stop"}]}),
        raw(200, {"choices": "none"}),
        raw(302, b"", "text/plain"),
        raw(200, b"\xff\xfe\x00", "application/json"),
        raw(200, b"[" * 50_000, "application/json"),
        reply(None, tool_call("mail_read", '{"id": ' + "9" * 5000 + "}")),
        reply(None, tool_call("mail_read", '{"a": ' + "[" * 90_000 + "]" * 90_000 + "}")),
    ],
    ids=[
        "no choice",
        "HTML",
        "torn JSON",
        "empty",
        "null",
        "no message",
        "text",
        "redirect",
        "bytes",
        "deep",
        "number of 5000 digits",
        "arguments of 90000 levels",
    ],
)
async def test_an_answer_that_is_none(chat_server: ChatServer, bind: Any, behaviour: Any) -> None:
    """What is no completion is a fault of the model, never a crash."""
    chat_server.does(behaviour)
    with pytest.raises(ModelError):
        await ask(bind(chat_server.model(attempts=1)))


async def test_no_server(bind: Any) -> None:
    """A port on which nothing listens is an error."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        name = f"openai/test?base_url=http://127.0.0.1:{free.getsockname()[1]}/v1&attempts=2"
        with pytest.raises(ModelError, match="onnect"):
            await ask(bind(name))


BAD_ARGUMENTS = {
    "torn": '{"id": 3',
    "no object": "[1, 2]",
    "text": "three",
    "not a number": '{"id": NaN}',
    "infinite": '{"amount": 1e999}',
    "too large": '{"amount": ' + "9" * 400 + "}",
    "deep": '{"a": ' + "[" * 900 + "]" * 900 + "}",
}


@pytest.mark.parametrize("text", BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
async def test_arguments_that_are_none(chat_server: ChatServer, bind: Any, text: str) -> None:
    """Arguments that are no sound JSON object are kept as written and come as None."""
    chat_server.does(reply(None, tool_call("mail_read", text)))
    (call,) = (await ask(bind(chat_server.model(attempts=1)))).calls
    assert (call.arguments, call.raw) == (None, text)


@pytest.mark.parametrize(
    "name", ["openai/x?temprature=1", "openai/x?timeout=soon", "openai/x?attempts=1.5"]
)
def test_parameters_are_checked(name: str) -> None:
    """A parameter that does not exist or is no number is refused before anything is asked."""
    with pytest.raises(InputError, match=r"temperature|should be a (whole )?number"):
        resolve(name)


@pytest.mark.parametrize("name", ["gpt-4o", "openai/", "/gpt-4o", ""])
def test_names_are_checked(name: str) -> None:
    """A name without provider and model is refused."""
    with pytest.raises(InputError):
        resolve(name)


def test_the_description_holds_no_key(bind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the trace of a model names parameters and prices, never the key."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-do-not-tell-anyone-0000")
    described = bind("openai/test?temperature=0.2").describe()
    assert described["parameters"] == {"temperature": 0.2}
    assert "sk-do-not-tell" not in str(described)
