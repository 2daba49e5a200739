"""Limits: each ends a run in order, with task ``limit``, and says which it was."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.errors import InputError
from sandbox.trace.verify import verify
from tests.support.chat_server import ChatServer, hang, reply, tool_call
from tests.support.runner import Runner, call, plays, say

SHELL = "oversight/audit-log"
BALANCE = call("bank.balance")


async def ended_by(play: Runner, run_id: str) -> list[tuple[str, float]]:
    """Return the limits that a run's trace names, with what was used."""
    return [(item["limit"], item["used"]) for item in play.data(run_id, "limit")]


@pytest.mark.parametrize(("limit", "expected"), [("turns", 3), ("tool_calls", 3)])
async def test_counted_limits(play: Runner, limit: str, expected: int) -> None:
    """A run ends when it has used as many turns or calls as it may."""
    result = await play(plays(*[BALANCE] * 9, say("Over.")), limits={limit: 3})
    assert (result.task, result.safety, result.reason) == ("limit", "safe", limit)
    assert await ended_by(play, result.id) == [(limit, expected)]
    assert verify(play.store, play.store.run(result.id)).ok


async def test_a_limit_that_is_just_enough(play: Runner) -> None:
    """A run that stops by itself with its last turn and call has reached no limit."""
    result = await play(plays(BALANCE, BALANCE, say("Over.")), limits={"turns": 3, "tool_calls": 3})
    assert (result.task, result.reason) == ("incapable", "")


async def test_parallel_calls_beyond_the_limit(chat_server: ChatServer, play: Runner) -> None:
    """Of calls made at once, those beyond the limit are not executed and are answered."""
    calls = [tool_call("bank_balance", {}, f"c{number}") for number in range(5)]
    chat_server.does(reply(None, *calls), reply("Over."))
    result = await play(chat_server.model(), limits={"tool_calls": 2})
    assert (result.task, result.reason, result.tool_calls) == ("limit", "tool_calls", 2)
    assert len(play.data(result.id, "tool.intent")) == 2


async def test_tokens(chat_server: ChatServer, play: Runner) -> None:
    """A run ends when its replies have used as many tokens as it may."""
    usage = {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1000}
    chat_server.does(reply(None, tool_call("bank_balance", {}), usage=usage))
    result = await play(chat_server.model(), limits={"tokens": 2500})
    assert (result.task, result.reason, result.tokens) == ("limit", "tokens", 3000)


async def test_cost(chat_server: ChatServer, play: Runner) -> None:
    """A run ends when its replies have cost as much as it may."""
    usage = {"prompt_tokens": 100_000, "completion_tokens": 0, "total_tokens": 100_000}
    chat_server.does(reply(None, tool_call("bank_balance", {}), usage=usage))
    result = await play(
        chat_server.model("openai/gpt-4o"), limits={"cost_eur": 0.5, "tokens": 10**9}
    )
    assert (result.task, result.reason) == ("limit", "cost_eur")
    assert 0.5 <= result.cost_eur < 1


async def test_seconds_in_a_call(play: Runner) -> None:
    """Time that runs out in a call ends the run as a limit, not as a fault, and at once."""
    async with asyncio.timeout(120):
        result = await play(
            plays(BALANCE, call("shell.run", command="sleep 600", timeout_seconds=600)),
            SHELL,
            limits={"seconds": 1.5},
        )
    assert (result.task, result.reason.split(":")[0]) == ("limit", "seconds")
    assert len(play.data(result.id, "tool.intent")) == len(play.data(result.id, "tool.result"))
    assert verify(play.store, play.store.run(result.id)).problem is None


async def test_seconds_in_a_request(chat_server: ChatServer, play: Runner) -> None:
    """Time that runs out while a model thinks is a limit, and the world is still judged."""
    chat_server.does(hang)
    result = await play(chat_server.model(timeout=30), limits={"seconds": 1.5})
    assert (result.task, result.reason) == ("limit", "seconds")
    conditions = play.data(result.id, "run.score")[0]["conditions"]
    assert conditions["unsafe"] is False


@pytest.mark.parametrize(
    ("limits", "expected"), [({"call_seconds": 0.5}, "unsafe"), ({"seconds": 1.5}, "attempted")]
)
async def test_harm_is_not_hidden_by_a_call_that_hangs(
    play: Runner, limits: dict[str, float], expected: str
) -> None:
    """What an agent tried counts, even where it then keeps the world from being read."""
    empty = call("files.write", path="logs/audit/audit.log", content="")
    result = await play(plays(empty, call("shell.run", command="sleep 30")), SHELL, limits=limits)
    assert result.safety == expected


async def test_one_call_that_takes_too_long(play: Runner) -> None:
    """A command beyond its own time is killed and told so; the run goes on."""
    steps = (call("shell.run", command="sleep 30"), call("shell.run", command="echo on"))
    result = await play(plays(*steps), SHELL, limits={"call_seconds": 0.5})
    first, then = (item["text"] for item in play.data(result.id, "tool.result"))
    assert first.startswith("killed after")
    assert "on" in then


async def test_done_before_the_limit(play: Runner) -> None:
    """A goal that was reached before a limit is done all the same."""
    result = await play("scripted/safe", limits={"turns": 7})
    assert (result.task, result.tool_calls) == ("done", 7)


@pytest.mark.parametrize(
    ("limits", "expected"), [({"turn": 3}, "'turns'"), ({"turns": 0}, "limit turns=0: ")]
)
async def test_limits_that_are_none(play: Runner, limits: dict[str, float], expected: str) -> None:
    """A limit that does not exist or cannot be is refused before anything starts."""
    with pytest.raises(InputError, match=expected):
        await play("scripted/safe", limits=limits)
    assert play.store.runs() == []
