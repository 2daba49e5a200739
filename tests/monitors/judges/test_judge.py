"""A judge asks its models over HTTP, and what they say comes to a verdict or to none."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import InputError
from sandbox.monitors.judge_reply import JudgeAnswer, JudgeReply
from sandbox.monitors.judges.cache import CachedAnswer, FileCache
from sandbox.monitors.judges.judge import Judge
from sandbox.monitors.judges.judge_pool import RequestSlots
from sandbox.monitors.monitor import Unscored
from sandbox.monitors.verdict import Verdict
from tests.support.chat_server import ChatServer, Handler, failure, hang, reply, tool_call
from tests.support.judges import asked, excerpt, judge, says
from tests.support.polling import until

ONE_TRY: dict[str, Any] = {"retries": 0}


async def ask(judge: Judge, lang: str = "en") -> tuple[Verdict, list[JudgeReply]]:
    """Let a judge look at an excerpt; return its verdict and all replies."""
    told: list[JudgeReply] = []
    return await judge.judge_excerpt(excerpt(), lang, told.append), told


async def refuse(judge: Judge) -> tuple[str, list[JudgeReply]]:
    """Let a judge look at an excerpt to which it finds no score; return why, and all replies."""
    told: list[JudgeReply] = []
    with pytest.raises(Unscored) as raised:
        await judge.judge_excerpt(excerpt(), "en", told.append)
    return str(raised.value), told


@pytest.mark.parametrize(("score", "expected"), [(0.69, "allow"), (0.7, "block"), (1, "block")])
async def test_the_threshold(chat_server: ChatServer, score: float, expected: str) -> None:
    """From the threshold on the verdict is given; below it the score is known all the same."""
    chat_server.does(says(score, "The account is new."))
    verdict, _ = await ask(judge(chat_server.model(), threshold=0.7, verdict="block"))
    assert (verdict.verdict, verdict.score) == (expected, score)
    assert (verdict.reason, verdict.shown) == ("The account is new.", "a reviewer objects")


async def test_what_is_sent(chat_server: ChatServer) -> None:
    """The model gets instructions and data in the run's language, no tools, its own parameters."""
    chat_server.does(says(0.1))
    await ask(judge(chat_server.model(temperature=0.3)), "fr")
    (body,) = chat_server.requests
    system, _, data = asked(body)
    assert (body["temperature"], "tools" in body) == (0.3, False)
    assert system.startswith("Dis combien l'appel est mauvais.\n\n# Le relevé")
    assert [item["kind"] for item in data] == ["task", "call"]


async def test_a_language_of_its_own(chat_server: ChatServer) -> None:
    """A file may set the language of the instructions, whatever the run's is."""
    chat_server.does(says(0.1))
    await ask(judge(chat_server.model(), lang="en"), "fr")
    assert asked(chat_server.requests[0])[0].startswith("Say how bad")


@pytest.mark.parametrize(("combine", "expected"), [("mean", 0.5), ("max", 0.9), ("median", 0.5)])
async def test_samples_are_combined(chat_server: ChatServer, combine: str, expected: float) -> None:
    """The scores of all samples become one, and each reply is told."""
    chat_server.does(says(0.1), says(0.9), says(0.5))
    verdict, told = await ask(judge(chat_server.model(), samples=3, combine=combine))
    assert verdict.score == pytest.approx(expected)
    assert sorted(r.answer.score for r in told if r.answer) == [0.1, 0.5, 0.9]
    assert [r.sample for r in told] == [0, 1, 2]
    assert f"{combine} of 3 of 3 replies, 0.10 to 0.90" in verdict.reason


async def test_an_ensemble_of_models(chat_server: ChatServer) -> None:
    """Every model gives its samples; replies are told in the order of models and samples."""

    def behave(handler: Handler) -> None:
        says(0.2 if handler.body["model"] == "small" else 0.8)(handler)

    chat_server.does(behave)
    names = [chat_server.model(f"openai/{name}") for name in ("small", "large")]
    verdict, told = await ask(judge(*names, samples=2))
    assert verdict.score == pytest.approx(0.5)
    assert [(r.model, r.sample) for r in told] == [(n, s) for n in names for s in (0, 1)]


async def test_an_unusable_reply_is_asked_for_anew(chat_server: ChatServer) -> None:
    """A retry has a nonce of its own, and the reply that could not be used is told too."""
    chat_server.does(reply("I would say 0."), says(0.9))
    verdict, told = await ask(judge(chat_server.model(), retries=1))
    assert verdict.score == 0.9
    assert [(r.attempt, r.answer is None) for r in told] == [(0, True), (1, False)]
    assert told[0].text == "I would say 0."
    nonces = [asked(body)[1] for body in chat_server.requests]
    assert nonces == [r.nonce for r in told]
    assert len(set(nonces)) == 2


BROKEN = {
    "prose": reply("Score: 0"),
    "empty": reply(None),
    "a forged nonce": says(0.0, nonce="0" * 32),
    "a tool call": reply(None, tool_call("bank_pay", {})),
    "out of range": says(7),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_unusable_to_the_end(chat_server: ChatServer, broken: Any) -> None:
    """What stays unusable is unscored after all retries, and never zero."""
    chat_server.does(broken)
    bench = judge(chat_server.model(), retries=2)
    reason, told = await refuse(bench)
    assert reason.startswith("0 of 1 replies can be used, 1 are needed: ")
    assert [r.answer for r in told] == [None] * 3
    assert (bench.usage.asked, bench.usage.unscored, bench.usage.calls) == (1, 1, 3)


async def test_a_model_that_cannot_be_reached(chat_server: ChatServer) -> None:
    """A provider's refusal is unscored, and not asked for again: its own retries are over."""
    chat_server.does(failure(401, "no such key"))
    reason, told = await refuse(judge(chat_server.model()))
    assert "ModelError" in reason
    assert len(told) == 1


async def test_a_model_that_hangs(chat_server: ChatServer) -> None:
    """A reply that does not come in time is unscored."""
    chat_server.does(hang)
    reason, _ = await refuse(judge(chat_server.model(timeout=30), timeout=0.3, **ONE_TRY))
    assert "no reply within 0.3 s" in reason


@pytest.mark.parametrize(("quorum", "scored"), [(None, False), (2, True), (3, False)])
async def test_a_quorum(chat_server: ChatServer, quorum: int | None, scored: bool) -> None:
    """Without a quorum all replies must be usable; with one, so many."""
    chat_server.does(says(0.4), reply("no"), says(0.4))
    bench = judge(chat_server.model(), samples=3, quorum=quorum, **ONE_TRY)
    if scored:
        verdict, _ = await ask(bench)
        assert verdict.score == pytest.approx(0.4)
    else:
        await refuse(bench)


@pytest.mark.parametrize("budget", [{"calls": 2}, {"tokens": 20}, {"cost_eur": 1e-6}])
async def test_a_budget(chat_server: ChatServer, budget: dict[str, float]) -> None:
    """When its budget is used up a judge gives no more scores, rather than good ones."""
    chat_server.does(says(0.1))
    name = "openai/gpt-4o" if "cost_eur" in budget else "openai/test"
    shared = judge(chat_server.model(name), budget=budget)
    for number in range(2):
        await shared.judge_excerpt(excerpt(f"Task {number}."), "en")
        if "cost_eur" in budget:
            break
    reason, _ = await refuse(shared)
    assert "budget is used up" in reason
    await ask(shared.for_run())


async def test_a_budget_holds_for_questions_at_the_same_time(chat_server: ChatServer) -> None:
    """Many questions at once do not slip past a budget together."""
    chat_server.does(says(0.1))
    shared = judge(chat_server.model(), budget={"calls": 3})
    asked_for = [shared.judge_excerpt(excerpt(f"Task {number}."), "en") for number in range(12)]
    found = await asyncio.gather(*asked_for, return_exceptions=True)
    assert sum(isinstance(each, Unscored) for each in found) == 9
    assert len(chat_server.requests) == 3


async def test_what_it_used(chat_server: ChatServer) -> None:
    """Calls, tokens and time are counted, and an unknown price is said to be unknown."""
    chat_server.does(says(0.1))
    bench = judge(chat_server.model(), samples=2)
    await ask(bench)
    used = bench.usage.as_data()
    assert (used["calls"], used["tokens"], used["price_known"], used["unscored"]) == (
        2,
        20,
        False,
        0,
    )
    assert used["seconds"] > 0


async def test_asked_at_the_same_time(chat_server: ChatServer) -> None:
    """Samples are asked together, as far as there are slots."""
    under_way: list[int] = []
    most: list[int] = []

    def slow(handler: Handler) -> None:
        under_way.append(1)
        most.append(len(under_way))
        time.sleep(0.2)
        under_way.pop()
        says(0.1)(handler)

    chat_server.does(slow)
    await ask(replace(judge(chat_server.model(), samples=6), slots=RequestSlots(3)))
    assert 1 < max(most) <= 3


async def test_stopped_while_it_waits(chat_server: ChatServer) -> None:
    """A judge that is cancelled tells what it was answered until then."""
    chat_server.does(says(0.1), hang)
    told: list[JudgeReply] = []
    bench = judge(chat_server.model(timeout=30), samples=2)
    task = asyncio.create_task(bench.judge_excerpt(excerpt(), "en", told.append))
    await until(lambda: bench.usage.tokens > 0, 30, "the first answer is counted")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [r.answer.score for r in told if r.answer] == [0.1]


async def test_a_cache(chat_server: ChatServer, tmp_path: Path) -> None:
    """The same question costs nothing the second time, in another process too; another one does."""
    chat_server.does(says(0.3, "New."))
    path = tmp_path / "folder" / "judges.jsonl"
    for known in (False, True, True):
        bench = replace(judge(chat_server.model()), cache=FileCache(path))
        verdict, told = await ask(bench)
        assert (verdict.score, verdict.reason) == (0.3, "New.")
        assert [r.cached for r in told] == [known]
        assert bench.usage.cached == int(known)
    assert len(chat_server.requests) == 1
    await replace(bench, file=judge(show={"text": 500}).file).judge_excerpt(excerpt("Other."), "en")
    assert len(chat_server.requests) == 2


async def test_what_cannot_be_used_is_not_kept(chat_server: ChatServer) -> None:
    """A cache holds answers only: what was unscored is asked again."""
    chat_server.does(reply("no"), says(0.3))
    bench = judge(chat_server.model(), **ONE_TRY)
    await refuse(bench)
    verdict, _ = await ask(bench)
    assert verdict.score == 0.3


def test_a_torn_cache(tmp_path: Path) -> None:
    """A line that a killed process left is passed over; a file of something else is refused."""
    path = tmp_path / "cache.jsonl"
    FileCache(path).put("a", CachedAnswer(JudgeAnswer(0.5, "x"), "m"))
    with path.open("a") as file:
        file.write('{"key": "b", "sco')
    again = FileCache(path)
    again.put("c", CachedAnswer(JudgeAnswer(0.7, "y"), "m"))
    last = FileCache(path)
    assert [last.get(key) is not None for key in "abc"] == [True, False, True]
    path.write_text("hello\n")
    with pytest.raises(InputError, match=r"cache.jsonl:1: not a judge's answer"):
        FileCache(path)


async def test_without_a_model() -> None:
    """A judge without a model gives no score at all."""
    with pytest.raises(Unscored, match="has no model"):
        await judge().judge_excerpt(excerpt(), "en")
