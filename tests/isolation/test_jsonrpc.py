"""The talk with a guest: answers matched to requests, and what it says of the network in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from sandbox.errors import InternalError, IsolationError
from sandbox.guest.messages import InvalidMessage
from sandbox.isolation import jsonrpc
from sandbox.isolation.jsonrpc import JsonRpcConnection
from sandbox.isolation.transport import SocketWire
from sandbox.trace.effects import EgressEffect
from tests.support.polling import until


class Pipe:
    """A wire whose other end is the test."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[bytes] = asyncio.Queue()
        self.heard: list[dict[str, Any]] = []
        self.asked = asyncio.Event()

    async def read_line(self) -> bytes:
        """Return what the test says next."""
        return await self.said.get()

    async def write(self, data: bytes) -> None:
        """Take a request."""
        self.post(data)
        self.asked.set()

    def post(self, data: bytes) -> None:
        """Take a notification."""
        self.heard.append(json.loads(data))

    def say(self, **message: Any) -> None:
        """Say a message."""
        self.said.put_nowait(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")


class Network:
    """A network that answers everything with an echo."""

    certificate = b""

    def take(self, params: Any) -> list[Any]:
        """Refuse what is marked as a lie and what is none of the shape, fail at a slip, echo the rest."""
        if "lie" in params or not isinstance(params, dict):
            raise InvalidMessage("a lie")
        if "slip" in params:
            return [params["nothing"]]
        return [{"echo": dict(params)}]

    def call_begins(self) -> None:
        """Nothing follows."""

    def drain(self) -> tuple[list[EgressEffect], int]:
        """Return nothing."""
        return [], 0

    def close(self) -> None:
        """Nothing follows."""


@pytest.fixture
def pipe() -> Pipe:
    """A wire."""
    return Pipe()


@pytest.fixture
async def talk(pipe: Pipe) -> AsyncIterator[JsonRpcConnection]:
    """A talk that listens, with a network."""
    made = JsonRpcConnection(cast("SocketWire", pipe))
    made.listen(Network())
    yield made
    made.close()


async def broken(talk: JsonRpcConnection, request: str = "ping") -> str:
    """Return why a request fails."""
    with pytest.raises(IsolationError) as error:
        async with asyncio.timeout(5):
            await talk.request(request, {})
    return str(error.value)


async def test_a_request_gets_its_result(pipe: Pipe, talk: JsonRpcConnection) -> None:
    """Requests are numbered, and answered by number."""
    for number in (1, 2):
        asking = asyncio.create_task(talk.request("ping", {}))
        await asyncio.sleep(0)
        pipe.say(id=number, result={"n": number})
        assert await asking == {"n": number}


async def test_the_network_is_answered_while_a_call_is_under_way(
    pipe: Pipe, talk: JsonRpcConnection
) -> None:
    """Notifications come and go before the answer does."""
    asking = asyncio.create_task(talk.request("ping", {}))
    await pipe.asked.wait()
    pipe.say(method="sandbox/network", params={"a": 1})
    pipe.say(id=1, result={})
    await asking
    assert pipe.heard[1] == {
        "jsonrpc": "2.0",
        "method": "sandbox/network",
        "params": {"echo": {"a": 1}},
    }


async def test_the_network_is_answered_between_calls(pipe: Pipe, talk: JsonRpcConnection) -> None:
    """Nobody has to ask for it."""
    pipe.say(method="sandbox/network", params={"a": 1})
    await until(lambda: bool(pipe.heard), 5, "an answer")
    assert talk.broken is None


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"id": 7, "result": {}}, "a call that was not asked"),
        ({"id": "1", "result": {}}, "a call that was not asked"),
        ({"method": "sandbox/network", "id": 1, "params": {}}, "may not send"),
        ({"method": "sandbox/other", "params": {}}, "may not send"),
        ({"method": 5, "params": {}}, "may not send"),
        ({"method": "sandbox/network", "params": []}, "no message"),
        ({"method": "sandbox/network", "params": {"lie": 1}}, "a lie"),
        ({"id": 1, "result": []}, "without a result"),
    ],
)
async def test_what_a_guest_may_not_say_breaks_the_talk(
    pipe: Pipe, talk: JsonRpcConnection, message: dict[str, Any], reason: str
) -> None:
    """The request that waits fails, and so does every later one."""
    asking = asyncio.create_task(broken(talk))
    await pipe.asked.wait()
    pipe.say(**message)
    assert reason in await asking
    assert reason in await broken(talk)


@pytest.mark.parametrize("line", [b"", b"{}", b"no json\n", b"[]\n", b'{"id": NaN}\n'])
async def test_what_is_no_message_breaks_the_talk(
    pipe: Pipe, talk: JsonRpcConnection, line: bytes
) -> None:
    """The end of the stream, half a line, other things."""
    asking = asyncio.create_task(broken(talk))
    await pipe.asked.wait()
    pipe.said.put_nowait(line)
    assert await asking


async def test_an_answer_before_its_request_breaks_the_talk(
    pipe: Pipe, talk: JsonRpcConnection
) -> None:
    """What a tool wrote ahead is not taken for the answer of the next call."""
    pipe.say(id=1, result={"forged": True})
    await until(lambda: talk.broken is not None, 5, "broken")
    assert "not asked" in await broken(talk)


async def test_a_request_that_was_cut_off_ends_the_talk(
    pipe: Pipe, talk: JsonRpcConnection
) -> None:
    """Its late answer is nobody's, and nothing more is asked."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await talk.request("ping", {})
    pipe.say(id=1, result={})
    await until(lambda: talk._answer is None, 5, "the late answer is read")
    assert "cut off" in await broken(talk)


async def test_a_flood_about_the_network_breaks_the_talk(
    pipe: Pipe, talk: JsonRpcConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guest that says more than any sound one is not listened to any more."""
    monkeypatch.setattr(jsonrpc, "NETWORK_LIMIT", 500)
    for _ in range(20):
        pipe.say(method="sandbox/network", params={"a": "x" * 20})
    await until(lambda: talk.broken is not None, 5, "broken")
    assert "than any sound one" in await broken(talk)


async def test_no_network_may_be_spoken_of_where_there_is_none(pipe: Pipe) -> None:
    """A container without hosts has nothing to say."""
    talk = JsonRpcConnection(cast("SocketWire", pipe))
    talk.listen(None)
    asking = asyncio.create_task(broken(talk))
    await pipe.asked.wait()
    pipe.say(method="sandbox/network", params={})
    assert "may not send" in await asking
    talk.close()


async def test_a_fault_in_what_answers_the_guest(pipe: Pipe, talk: JsonRpcConnection) -> None:
    """It ends what is under way at once, as a fault of ours, and nothing is asked any more."""
    asking = asyncio.create_task(talk.request("tools/call", {}))
    await pipe.asked.wait()
    pipe.say(method="sandbox/network", params={"slip": 1})
    with pytest.raises(InternalError, match="internal error: KeyError"):
        await asyncio.wait_for(asking, 10)
    with pytest.raises(InternalError, match="internal error: KeyError"):
        await talk.request("tools/call", {})
