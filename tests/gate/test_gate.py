"""The gate: every call is on record before it acts, and monitors decide what becomes of it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.enums import Mode
from sandbox.gate.approval import FixedApprover
from sandbox.guest.arguments import problems
from sandbox.isolation.base import CallResult, ContainerSpec
from sandbox.isolation.bubblewrap import Bubblewrap, BubblewrapContainer
from sandbox.monitors import monitor_runner
from sandbox.monitors.library import MonitorFamily
from sandbox.monitors.python_monitor import Finding, MonitorFunction, PythonMonitor, monitor
from sandbox.monitors.rules import scenario_rules
from sandbox.monitors.step import Step
from sandbox.scenario.schema import Rule
from sandbox.trace.verify import verify
from tests.support import REPOSITORY
from tests.support.chat_server import ChatServer, reply, tool_call
from tests.support.runner import Runner, call, plays, say

PATH = Path(__file__)
PAY = call("bank.pay", to="Lumen SARL", iban="FR7630006000011234567890189", amount=10.0)
LATER = (call("bank.balance"), say("Over."))


def rules(*given: Rule) -> list[MonitorFamily]:
    """Return rules as the monitors of a run."""
    return [MonitorFamily("test", "Test", PATH, "0", scenario_rules(given, "test"))]


def rule(verdict: str, stage: str = "before", **more: Any) -> Rule:
    """Return a rule on payments."""
    data = {"id": "pay", "tools": ["bank.pay"], "when": "true", "reason": {"en": "because"}}
    return Rule.model_validate({**data, "verdict": verdict, "stage": stage, **more})


def python(judge: Callable[[Step], Finding | None], **marks: Any) -> list[MonitorFamily]:
    """Return a Python function as the monitor of a run."""
    marked: MonitorFunction = monitor(**marks)(judge)
    mark = marked.__monitor__  # type: ignore[attr-defined]
    return [MonitorFamily("test", "Test", PATH, "0", (PythonMonitor("test.python", marked, mark),))]


def statuses(play: Runner, run_id: str) -> list[str]:
    """Return what became of each call."""
    return [item["status"] for item in play.data(run_id, "tool.result")]


STOPS = {"alert": False, "escalate": True, "block": True, "terminate": True}


@pytest.mark.parametrize("verdict", STOPS)
async def test_observing_stops_nothing(play: Runner, verdict: str) -> None:
    """In observe mode every verdict is recorded and the call goes on."""
    result = await play(plays(PAY, *LATER), families=rules(rule(verdict)))
    assert statuses(play, result.id) == ["ok", "ok"]
    assert [item["verdict"] for item in result.verdicts] == [verdict]
    assert [item["carried_out"] for item in play.data(result.id, "gate.decision")] == [
        False
    ] * STOPS[verdict]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("alert", ["ok", "ok"]),
        ("block", ["blocked", "ok"]),
        ("escalate", ["blocked", "ok"]),
        ("terminate", ["blocked"]),
    ],
)
async def test_enforcing(play: Runner, verdict: str, expected: list[str]) -> None:
    """In enforce mode a call is stopped as the verdict says, and the agent is told why."""
    result = await play(plays(PAY, *LATER), families=rules(rule(verdict)), mode="enforce")
    assert statuses(play, result.id) == expected
    told = play.data(result.id, "tool.result")[0]["text"]
    assert ("refused by oversight: because" in told) == (expected[0] == "blocked")


async def test_blocked_calls_do_nothing(play: Runner) -> None:
    """A call that is blocked before it acts leaves no effect and changes no balance."""
    result = await play(
        plays(call("bank.balance"), PAY, *LATER), families=rules(rule("block")), mode="enforce"
    )
    first, blocked, last = play.data(result.id, "tool.result")
    assert blocked["effects"] == []
    assert first["text"] == last["text"]


@pytest.mark.parametrize("allow", [True, False])
async def test_escalation(play: Runner, allow: bool) -> None:
    """What is escalated goes on if the decider allows it; question and answer are on record."""
    result = await play(
        plays(PAY, *LATER),
        families=rules(rule("escalate")),
        mode="enforce",
        decider=FixedApprover(allow=allow),
    )
    assert statuses(play, result.id) == ["ok" if allow else "blocked", "ok"]
    (decision,) = play.data(result.id, "gate.decision")
    assert (decision["allowed"], decision["carried_out"]) == (allow, not allow)
    assert decision["decided_by"].startswith("policy: ")


async def test_the_strictest_decides(play: Runner) -> None:
    """Of several verdicts all are recorded, and the strictest is carried out."""
    several = [rule(verdict, id=verdict) for verdict in ("alert", "terminate", "block")]
    result = await play(plays(PAY, *LATER), families=rules(*several), mode="enforce")
    assert [item["verdict"] for item in result.verdicts] == ["alert", "terminate", "block"]
    assert [item["monitor"] for item in play.data(result.id, "gate.decision")] == ["test.terminate"]


async def test_a_result_is_rewritten(play: Runner, chat_server: ChatServer) -> None:
    """A rewritten result is what the agent reads; the trace keeps what the tool really gave."""
    arguments = {"to": "L", "iban": "FR7630006000011234567890189", "amount": 10.0}
    chat_server.does(reply(None, tool_call("bank_pay", arguments)), reply("Over."))
    rewriting = rules(rule("rewrite", "after", rewrite={"en": "nothing to see"}))
    result = await play(chat_server.model(), families=rewriting, mode="enforce")
    assert [item["content"] for item in chat_server.requests[1]["messages"][3:]] == [
        "nothing to see"
    ]
    assert play.data(result.id, "tool.result")[0]["text"].startswith("payment 1:")


async def test_a_result_is_withheld(play: Runner) -> None:
    """A block after the call withholds its result, and termination there ends the run."""
    result = await play(
        plays(PAY, *LATER), families=rules(rule("terminate", "after")), mode="enforce"
    )
    assert statuses(play, result.id) == ["ok"]
    assert play.data(result.id, "run.score")[0]["terminated"].startswith(
        "The call was executed, but"
    )


def failing(step: Step) -> Finding | None:
    """Fail."""
    raise RuntimeError("out of order")


def wrong_kind(step: Step) -> Finding | None:
    """Return what is no finding."""
    return "suspicious"  # type: ignore[return-value]


def wrong_verdict(step: Step) -> Finding | None:
    """Return a verdict that does not exist."""
    return Finding("x", verdict="blok")


def wrong_score(step: Step) -> Finding | None:
    """Return a score that no trace can hold."""
    return Finding("x", score=float("nan"))


def wrong_reason(step: Step) -> Finding | None:
    """Return a reason that is no text."""
    return Finding({1, 2})  # type: ignore[arg-type]


def leaving(step: Step) -> Finding | None:
    """End the program."""
    sys.exit(3)


BROKEN = (failing, leaving, wrong_kind, wrong_verdict, wrong_score, wrong_reason)


@pytest.mark.parametrize("judge", BROKEN)
@pytest.mark.parametrize(("mode", "expected"), [("observe", "ok"), ("enforce", "blocked")])
async def test_a_monitor_that_is_broken(
    play: Runner, judge: MonitorFunction, mode: Mode, expected: str
) -> None:
    """A monitor that fails is recorded; in enforce mode the call is refused."""
    result = await play(plays(PAY, say("Over.")), families=python(judge), mode=mode)
    assert statuses(play, result.id) == [expected]
    assert [item["monitor"] for item in play.data(result.id, "monitor.error")] == ["test.python"]
    assert result.task == "incapable"


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[MonitorFunction]:
    """A monitor that does not come back until the test is over; monitors get 0.2 s."""
    monkeypatch.setattr(monitor_runner, "MONITOR_SECONDS", 0.2)
    released = threading.Event()

    def hang(step: Step) -> Finding | None:
        """Wait."""
        released.wait(30)
        return None

    yield hang
    released.set()


@pytest.mark.parametrize(("mode", "expected"), [("observe", "ok"), ("enforce", "blocked")])
async def test_a_monitor_that_hangs(
    play: Runner, hanging: MonitorFunction, mode: Mode, expected: str
) -> None:
    """A monitor without an answer in time is an error on record, for every call anew."""
    result = await play(plays(*[PAY] * 6, say("Over.")), families=python(hanging), mode=mode)
    assert statuses(play, result.id) == [expected] * 6
    assert [item["reason"] for item in play.data(result.id, "monitor.error")] == [
        "no answer within 0.2 s"
    ] * 6


HANG = """
import asyncio, sys, time
from pathlib import Path
from sandbox.isolation.bubblewrap import Bubblewrap, BubblewrapContainer
from sandbox.gate import gate
from sandbox.monitors import monitor_runner
from sandbox.monitors.library import MonitorLibrary
from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import Loader
from sandbox.trace.store import Store
from tests.gate.test_gate import LATER, PAY, python
from tests.support.runner import Runner, plays
monitor_runner.MONITOR_SECONDS = 0.2
def hang(step):
    while True:
        time.sleep(0.01)
loader = Loader(Content(Path.cwd()))
with Store(sys.argv[1]) as store:
    play = Runner(loader, MonitorLibrary(loader.content, loader.catalogue), Bubblewrap(), store)
    print(asyncio.run(play(plays(PAY, *LATER), families=python(hang))).task, flush=True)
"""


def test_a_monitor_that_hangs_for_ever(backend: Bubblewrap, tmp_path: Path) -> None:
    """A monitor that never comes back does not keep the program from ending."""
    done = subprocess.run(
        [sys.executable, "-c", HANG, str(tmp_path / "x.db")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.stdout, done.returncode, done.stderr) == ("incapable\n", 0, "")


async def test_the_intent_is_stored_before_the_call(play: Runner, tmp_path: Path) -> None:
    """When a call reaches the container, another connection already sees intent and verdicts."""
    seen: list[tuple[list[str], int]] = []

    class Watching(Bubblewrap):
        async def open(self, spec: ContainerSpec) -> BubblewrapContainer:
            container = await super().open(spec)
            passed_on = container.call

            async def call(
                tool: str, arguments: Any, *, agent: str, timeout: float, call: str = ""
            ) -> CallResult:
                with sqlite3.connect(tmp_path / "runs.db") as other:
                    kinds = [
                        kind for (kind,) in other.execute("SELECT kind FROM event ORDER BY seq")
                    ]
                other.close()
                seen.append((kinds[-3:], kinds.count("tool.result")))
                return await passed_on(tool, arguments, agent=agent, timeout=timeout, call=call)

            container.call = call  # type: ignore[method-assign]
            return container

    await replace(play, backend=Watching())(plays(PAY, *LATER), families=rules(rule("block")))
    assert seen == [
        (["tool.intent", "verdict", "gate.decision"], 0),
        (["model.request", "model.reply", "tool.intent"], 1),
    ]


async def test_arguments_are_checked_before_monitors(play: Runner) -> None:
    """A call that its schema refuses is judged by no monitor and reaches no container."""
    wrong = call("bank.pay", to="L", iban="x")
    result = await play(plays(wrong, *LATER), families=rules(rule("block")), mode="enforce")
    assert statuses(play, result.id) == ["invalid", "ok"]
    assert result.verdicts == ()
    schema = play.loader.catalogue.expand(("bank.pay",))[0].parameters
    assert problems(schema, {"to": "L", "iban": "x"}) == ["missing argument 'amount'"]


async def test_the_trace_of_a_judged_run_verifies(play: Runner) -> None:
    """Verdicts, decisions and failures of monitors are part of the chain."""
    families = [*rules(rule("escalate"), rule("alert", "after", id="then")), *python(failing)]
    result = await play(plays(PAY, *LATER), families=families)
    assert verify(play.store, play.store.run(result.id)).problem is None
