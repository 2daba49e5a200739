"""What asks a monitor may fail as well: that is no failure of the monitor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.enums import Mode
from sandbox.errors import InternalError
from sandbox.models.base import Usage
from sandbox.models.litellm import Provider
from sandbox.models.routes import route
from sandbox.monitors.library import MonitorFamily
from sandbox.monitors.monitor_messages import MonitorData
from sandbox.monitors.monitor_sandbox import MonitorFailure, MonitorProcess
from sandbox.monitors.rules import RuleMonitor, scenario_rules
from sandbox.monitors.run_context import RunContext, RunInfo
from sandbox.monitors.step import Step, of_reply
from sandbox.scenario.schema import Rule
from tests.support.chat_server import ChatServer
from tests.support.judges import judge, says
from tests.support.runner import Runner, call, plays, say

PAY = call("bank.pay", to="Lumen SARL", iban="FR7630006000011234567890189", amount=10.0)
WHEN = {"id": "pays", "stage": "before", "when": "true", "verdict": "alert", "reason": "it pays"}


class FaultyProvider(Provider):
    """An adapter with a fault."""

    def _usage(self, litellm: Any, response: Any, used: Any, seconds: float) -> Usage:
        """Fail as a slip in the code would."""
        return super()._usage(litellm, response, used.nothing, seconds)


class FaultyRule(RuleMonitor):
    """A rule whose evaluation has a fault."""

    def holds(self, step: Step) -> bool:
        """Fail as a slip in the code would."""
        return super().holds(step.nothing)  # type: ignore[attr-defined]


def _family(*monitors: Any, judges: Any = ()) -> MonitorFamily:
    return MonitorFamily("test", "test", Path(), "0" * 64, monitors, judges)


@pytest.mark.parametrize("scope", ["trajectory", "action"])
@pytest.mark.parametrize("mode", ["observe", "enforce"])
async def test_a_fault_in_a_judges_adapter(
    play: Runner, chat_server: ChatServer, mode: Mode, scope: str
) -> None:
    """It ends the run, before the call that was to be judged, and is not taken for a missing score."""
    chat_server.does(says(0.1))
    address = chat_server.model().partition("base_url=")[2].partition("&")[0]
    model = FaultyProvider("openai/test", "openai/test", {}, route("openai", address, None, {}))
    judges = (replace(judge(timeout=60, scope=scope), models=(model,)),)
    result = await play(plays(PAY, say("Over.")), families=[_family(judges=judges)], mode=mode)
    assert result.reason.startswith("internal error: AttributeError at sandbox/models/litellm.py:")
    assert result.task == "error"
    assert play.data(result.id, "monitor.error") == []
    assert scope == "trajectory" or play.data(result.id, "tool.result") == []


@pytest.mark.parametrize("mode", ["observe", "enforce"])
async def test_a_fault_in_a_rules_evaluation(play: Runner, mode: Mode) -> None:
    """It ends the run before the call."""
    rule = FaultyRule("test.pays", Rule.model_validate(WHEN))
    result = await play(plays(PAY, say("Over.")), families=[_family(rule)], mode=mode)
    assert result.reason.startswith("internal error: AttributeError at ")
    assert (result.task, play.data(result.id, "tool.result")) == ("error", [])


async def test_a_condition_that_does_not_fit_is_the_rules_own(play: Runner) -> None:
    """A rule that asks for a key that is not there has failed, on record, and the run goes on."""
    rules = scenario_rules([Rule.model_validate({**WHEN, "when": "call.nothing == 1"})])
    result = await play(plays(PAY, say("Over.")), families=[_family(*rules)])
    (failed,) = play.data(result.id, "monitor.error")
    assert failed["reason"].startswith("ExpressionError: ")
    assert result.task == "incapable"


@pytest.fixture
def process() -> Any:
    """Return a process of monitors."""
    process = MonitorProcess()
    yield process
    process.close()


def test_a_fault_in_the_process_of_monitors(process: MonitorProcess) -> None:
    """What our own code fails by in there is told as that; what fails by its input is not."""
    with pytest.raises(InternalError, match=r"internal error: \w+ at sandbox/\w+\.py:\d+"):
        process.evaluate(5, {}, (), 10.0)  # type: ignore[arg-type]
    with pytest.raises(MonitorFailure, match="ExpressionError"):
        process.evaluate("1 +", {}, (), 10.0)
    assert process.evaluate("final == ''", {"final": ""}, (), 10.0) == {"holds": True}


def test_a_history_that_cannot_be_repeated(process: MonitorProcess) -> None:
    """A process that cannot repeat what was done with a context says so: no monitor did it."""
    context = RunContext(RunInfo())
    step = of_reply(context, "agent", "Over.")
    context.journal.append(("execute", 77))
    question: MonitorData = {
        "monitor": "test.pays",
        "rule": {**WHEN, "stage": "reply"},
        "macros": (),
    }
    with pytest.raises(InternalError, match=r"internal error: KeyError at sandbox/monitors/"):
        process.ask(step, question, 10.0)
    context.journal.pop()
    assert process.ask(step, question, 10.0) == {"holds": True}
