"""Judges in whole runs: what the gate makes of them, what the trace holds, and asking them again."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sandbox.monitors import offline
from sandbox.monitors.judges import prompt
from sandbox.monitors.judges.cache import MemoryCache
from sandbox.monitors.judges.excerpt import of_run
from sandbox.monitors.judges.judge import Judge
from sandbox.monitors.judges.offline import review_run, review_runs
from sandbox.monitors.library import MonitorFamily
from sandbox.monitors.monitor_runner import MonitorResult, MonitorRunner
from sandbox.runs.run import run
from sandbox.trace.verify import verify
from tests.support.chat_server import ChatServer, Handler, reply, tool_call
from tests.support.judges import asked, judge, says
from tests.support.runner import Runner, call, plays, say

PAY = call("bank.pay", to="Lumen SARL", iban="FR7630006000011234567890189", amount=10.0)
LATER = (call("bank.balance"), say("Over."))
PAYMENTS: dict[str, Any] = {"tools": ["bank.pay"], "retries": 0}
UNSCORED = reply("I cannot say.")


def family(*judges: Judge) -> MonitorFamily:
    """Return judges as a family."""
    return MonitorFamily("test", "Test", Path(__file__), "0", (), judges)


def statuses(play: Runner, run_id: str) -> list[str]:
    """Return what became of each call."""
    return [item["status"] for item in play.data(run_id, "tool.result")]


async def test_a_verdict(play: Runner, chat_server: ChatServer) -> None:
    """A judge's verdict is in the trace with its score, and the reply before it with all it cost."""
    chat_server.does(says(0.9, "Nobody asked for it."))
    watching = family(judge(chat_server.model(), **PAYMENTS))
    result = await play(plays(PAY, *LATER), families=[watching])
    (verdict,) = result.verdicts
    assert (verdict["monitor"], verdict["score"]) == ("test.judge", 0.9)
    assert verdict["reason"] == "Nobody asked for it."
    (told,) = play.data(result.id, "judge.reply")
    assert (told["score"], told["stage"], told["call"]) == (0.9, "before", "call_0_0")
    assert told["usage"]["input_tokens"] == 7
    assert [e.kind for e, _ in play.events(result.id)][-9:][0:1] != ["judge.reply"]
    assert verify(play.store, play.store.run(result.id)).ok


async def test_the_judge_is_told_nothing_else(play: Runner, chat_server: ChatServer) -> None:
    """The agent never reads what a judge wrote: it may hold what the agent should not know."""
    arguments = {"to": "L", "iban": "FR7630006000011234567890189", "amount": 10.0}

    def behave(handler: Handler) -> None:
        judged = "record" in json.dumps(handler.body["messages"], ensure_ascii=False) and (
            len(handler.body["messages"]) == 2 and "⟦" in handler.body["messages"][1]["content"]
        )
        if judged:
            says(0.9, "The IBAN differs from invoice 7.")(handler)
        elif len(handler.body["messages"]) == 2:
            reply(None, tool_call("bank_pay", arguments))(handler)
        else:
            reply("Over.")(handler)

    chat_server.does(behave)
    watching = family(judge(chat_server.model(), verdict="block", **PAYMENTS))
    await play(chat_server.model(), families=[watching], mode="enforce")
    told = chat_server.requests[-1]["messages"][3]["content"]
    assert told == "The call was refused by oversight: a reviewer objects"


@pytest.mark.parametrize(("mode", "expected"), [("observe", "ok"), ("enforce", "blocked")])
async def test_unscored_fails_closed(
    play: Runner, chat_server: ChatServer, mode: Any, expected: str
) -> None:
    """A call without a score is stopped in enforce mode, and on record in both."""
    chat_server.does(UNSCORED)
    watching = family(judge(chat_server.model(), **PAYMENTS))
    result = await play(plays(PAY, *LATER), families=[watching], mode=mode)
    assert statuses(play, result.id) == [expected, "ok"]
    (error,) = play.data(result.id, "monitor.error")
    assert (error["kind"], error["monitor"]) == ("unscored", "test.judge")
    (told,) = play.data(result.id, "judge.reply")
    assert (told["score"], told["text"]) == (None, "I cannot say.")
    assert result.judges["unscored"] == 1


async def test_a_whole_run_is_judged_once(play: Runner, chat_server: ChatServer) -> None:
    """A judge of trajectories sees all calls, results and effects, and the agent's last words."""
    chat_server.does(says(0.8, "It paid."))
    watching = family(judge(chat_server.model(), scope="trajectory"))
    result = await play(plays(PAY, *LATER), families=[watching], mode="enforce")
    (verdict,) = play.data(result.id, "verdict")
    assert (verdict["stage"], verdict["call"], verdict["score"]) == ("end", "", 0.8)
    (body,) = chat_server.requests
    data = asked(body)[2]
    kinds = [item["kind"] for item in data]
    assert kinds == ["task", "system", "user", "call", "result", "call", "result", "assistant"]
    assert data[4]["effects"][0]["kind"] == "world"
    assert data[-1]["text"] == "Over."


async def test_what_came_before_is_in_a_prefix(play: Runner, chat_server: ChatServer) -> None:
    """A judge of prefixes sees earlier results; one of actions sees the task and the call."""
    chat_server.does(says(0.1))
    both = [
        judge(chat_server.model(), name=f"test.{scope}", scope=scope, **PAYMENTS)
        for scope in ("action", "prefix")
    ]
    await play(plays(call("bank.balance"), PAY, say("Over.")), families=[family(*both)])
    seen = sorted((asked(body)[2] for body in chat_server.requests), key=len)
    assert [[item["kind"] for item in data] for data in seen] == [
        ["task", "tool", "call"],
        ["task", "system", "user", "call", "result", "tool", "call"],
    ]
    assert all(data[-1]["judged"] for data in seen)


async def test_results_are_judged_after(play: Runner, chat_server: ChatServer) -> None:
    """At the stage after, a judge sees the result and what the call really did."""
    chat_server.does(says(0.9))
    watching = family(judge(chat_server.model(), stage="after", verdict="block", **PAYMENTS))
    result = await play(plays(PAY, *LATER), families=[watching], mode="enforce")
    last = asked(chat_server.requests[0])[2][-1]
    assert (last["kind"], last["judged"], last["status"]) == ("result", True, "ok")
    assert last["effects"][0]["patch"]
    assert statuses(play, result.id) == ["ok", "ok"]


async def test_judges_wait_together(play: Runner, chat_server: ChatServer) -> None:
    """All judges of a stage are asked at the same time."""
    barrier = threading.Barrier(3, timeout=20)

    def together(handler: Handler) -> None:
        barrier.wait()
        says(0.1)(handler)

    chat_server.does(together)
    judges = [
        judge(chat_server.model(timeout=30), name=f"test.{n}", **PAYMENTS | {"timeout": 30})
        for n in range(3)
    ]
    result = await play(plays(PAY, *LATER), families=[family(*judges)])
    assert [item["monitor"] for item in play.data(result.id, "judge.reply")] == [
        "test.0",
        "test.1",
        "test.2",
    ]


async def test_judges_take_none_of_the_agents_limits(play: Runner, chat_server: ChatServer) -> None:
    """Time, tokens and money of judges are counted apart, and end no run."""

    def slow(handler: Handler) -> None:
        time.sleep(1.5)
        says(0.1)(handler)

    chat_server.does(slow)
    watching = family(judge(chat_server.model(timeout=20), timeout=20, tools=["bank"]))
    result = await play(plays(PAY, *LATER), families=[watching], limits={"seconds": 2})
    assert result.task != "limit"
    assert (result.tokens, result.judges["tokens"], result.judges["calls"]) == (0, 20, 2)
    (end,) = play.data(result.id, "run.end")
    assert end["judges"]["test.judge"]["asked"] == 2
    assert result.judges["seconds"] >= 3


async def test_two_runs_count_for_themselves(play: Runner, chat_server: ChatServer) -> None:
    """A budget is each run's own, though both share the judge."""
    chat_server.does(says(0.1))
    watching = family(judge(chat_server.model(), budget={"calls": 1}, **PAYMENTS))
    plans = [play.plan(plays(PAY, *LATER), families=[watching], seed=seed) for seed in range(2)]
    results = await asyncio.gather(*(run(plan, play.store) for plan in plans))
    assert [result.judges["unscored"] for result in results] == [0, 0]


async def test_asleep_and_on_record(play: Runner) -> None:
    """A judge without a model changes nothing but a line in the trace that says so."""
    result = await play(plays(PAY, *LATER), families=[family(judge())], mode="enforce")
    (start,) = play.data(result.id, "run.start")
    assert (start["not_asked"], start["monitors"], start["judges"]) == (["test"], {}, {})
    assert (statuses(play, result.id), result.judges) == (["ok", "ok"], {})


async def test_what_is_recorded_of_a_judge(play: Runner, chat_server: ChatServer) -> None:
    """The trace says who judged and how, and its prompt can be made again from it."""
    chat_server.does(says(0.6))
    watching = family(judge(chat_server.model(), scope="trajectory"))
    result = await play(plays(PAY, *LATER), families=[watching])
    (start,) = play.data(result.id, "run.start")
    described = start["judges"]["test.judge"]
    assert described["models"][0]["name"] == chat_server.model()
    assert (described["threshold"], described["stage"]) == (0.5, "end")
    (told,) = play.data(result.id, "judge.reply")
    again = watching.judges[0].messages(
        of_run(offline.run_context(play.events(result.id))), "en", told["nonce"]
    )
    assert again == chat_server.requests[0]["messages"]


async def again(play: Runner, run_id: str, *judges: Judge) -> Iterator[MonitorResult]:
    """Let judges look at a stored run."""
    events = play.events(run_id)
    found = await offline.review(events, judges)
    opinions = [opinion for _, opinion in found]
    return iter([*opinions, *await MonitorRunner(judges).judge_run(offline.run_context(events))])


@pytest.mark.parametrize("mode", ["observe", "enforce"])
async def test_the_same_over_the_stored_trace(
    play: Runner, chat_server: ChatServer, mode: Any
) -> None:
    """Judges that are asked again about the trace get the same questions: all answers are known."""
    chat_server.does(says(0.9))
    judges = [
        judge(chat_server.model(), name="test.before", scope="prefix", verdict="block"),
        judge(chat_server.model(), name="test.after", scope="action", stage="after"),
        judge(chat_server.model(), name="test.end", scope="trajectory"),
    ]
    result = await play("scripted/unsafe", families=[family(*judges)], mode=mode)
    live = sorted((v["monitor"], v["verdict"], v["score"]) for v in result.verdicts)
    before = len(chat_server.requests)
    found = [o.verdict for o in await again(play, result.id, *judges) if o.verdict]
    assert sorted((v.monitor, v.verdict, v.score) for v in found) == live
    assert len(live) > 3
    assert len(chat_server.requests) == before


async def test_a_run_that_is_stopped_while_it_is_judged(
    play: Runner, chat_server: ChatServer
) -> None:
    """A run that is stopped while a judge thinks is interrupted, and its trace verifies."""
    thinking = threading.Event()

    def forever(handler: Handler) -> None:
        thinking.set()
        handler.server.released.wait(30)  # type: ignore[attr-defined]
        handler.close_connection = True

    chat_server.does(forever)
    watching = family(judge(chat_server.model(timeout=30), **PAYMENTS | {"timeout": 30}))
    task = asyncio.create_task(play(plays(PAY, *LATER), families=[watching]))
    assert await asyncio.to_thread(thinking.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (row,) = play.store.runs()
    assert row.status == "interrupted"
    assert verify(play.store, row).ok


async def test_all_scores_of_a_stored_run(play: Runner, chat_server: ChatServer) -> None:
    """Offline every step and the run itself get their score, or a word why there is none."""
    result = await play(plays(PAY, *LATER))

    def behave(handler: Handler) -> None:
        (UNSCORED if "end" in handler.body["model"] else says(0.2))(handler)

    chat_server.does(behave)
    judges = [
        judge(chat_server.model(), name="test.before", retries=0),
        judge(chat_server.model("openai/end"), name="test.end", scope="trajectory", retries=0),
    ]
    review = await review_run(result.id, play.events(result.id), judges)
    found = review.scores
    assert [(each.judge, each.score) for each in found] == [
        ("test.before", 0.2),
        ("test.before", 0.2),
        ("test.end", None),
    ]
    intents = [event.seq for event, _ in play.events(result.id, "tool.intent")]
    assert [each.event for each in found] == [*intents, None]
    assert found[-1].problem.startswith("0 of 1 replies can be used")
    used = review.usage
    assert [(used[j.name].asked, used[j.name].unscored) for j in judges] == [(2, 0), (1, 1)]


async def test_what_was_answered_live_is_not_asked_again(
    play: Runner, chat_server: ChatServer
) -> None:
    """A trace that judges watched holds their answers: scoring it again costs nothing."""
    chat_server.does(says(0.3))
    judges = [
        judge(chat_server.model(), name="test.before", samples=2),
        judge(chat_server.model(), name="test.end", scope="trajectory"),
    ]
    result = await play(plays(PAY, *LATER), families=[family(*judges)])
    before = len(chat_server.requests)
    fresh = [replace(each, cache=MemoryCache()) for each in judges]
    review = await review_run(result.id, play.events(result.id), fresh)
    assert [each.score for each in review.scores] == [0.3] * 3
    assert (before, len(chat_server.requests)) == (5, 5)
    assert review.usage["test.before"].as_data()["cost_eur"] == 0


async def test_many_stored_runs(play: Runner, chat_server: ChatServer) -> None:
    """Many runs are judged side by side, each comes back once, and few are held at a time."""
    chat_server.does(says(0.2))
    ids = [(await play(plays(PAY, *LATER), seed=seed)).id for seed in range(5)]
    held: list[str] = []

    def read(run: str) -> Any:
        held.append(run)
        return play.events(run)

    judges = [judge(chat_server.model(), name="test.before", **PAYMENTS)]
    runs = ((run, partial(read, run)) for run in ids)
    found = []
    async for review in review_runs(runs, judges, at_once=2):
        found.append(review.run)
        assert len(held) - len(found) <= 2
        assert [each.score for each in review.scores] == [0.2]
    assert sorted(found) == sorted(ids)


def test_a_prompt_has_a_nonce_of_its_own() -> None:
    """The placeholder by which a question is found is never the nonce of a prompt."""
    assert prompt.nonce() != prompt.PLACEHOLDER
