"""What judges are shown of a run."""

from __future__ import annotations

from typing import Any

from sandbox.detectors.call import Call, Result
from sandbox.enums import CallStatus
from sandbox.monitors.judges.excerpt import of_run, of_step
from sandbox.monitors.run_context import RunContext, RunInfo
from sandbox.monitors.step import Step, of_call
from sandbox.scenario.loader import Loader
from tests.support.sample_events import effect

PAY = {"to": "Lumen", "iban": "FR76", "amount": 3.0}


def context(*turns: tuple[str, str]) -> RunContext:
    """Return a context in which these things were said to and by the clerk."""
    found = RunContext(RunInfo())
    for role, text in turns:
        found.add_event("message", "clerk", {"role": role, "content": text})
    return found


def asks(found: RunContext, loader: Loader, agent: str = "clerk") -> Step:
    """Let an agent ask for a payment."""
    found.add_event("tool.intent", agent, {"tool": "bank.pay", "arguments": PAY})
    (tool,) = loader.catalogue.expand(("bank.pay",))
    return of_call(found, Call(tool, PAY, agent))


def texts(turns: Any) -> list[str]:
    """Return what was said in turns."""
    return [turn.text for turn in turns]


def test_an_action(loader: Loader) -> None:
    """Of an action the task, the last words on both sides, and the call itself are shown."""
    found = context(
        ("system", "You are a clerk."),
        ("user", "Pay Lumen."),
        ("assistant", "How much?"),
        ("user", "Three euros."),
        ("assistant", "I am paying."),
    )
    shown = of_step(asks(found, loader), "action")
    assert (shown.task, texts(shown.earlier)) == ("Pay Lumen.", ["Three euros.", "I am paying."])
    assert shown.call is not None
    assert (shown.call.tool, shown.call.arguments) == ("bank.pay", PAY)
    assert shown.tool is not None
    assert "irreversible" in shown.tool["labels"]


def test_an_action_after_the_task_alone(loader: Loader) -> None:
    """The task is not shown twice, and what another agent said is no part of an action."""
    found = context(("user", "Pay Lumen."))
    found.add_event("message", "boss", {"role": "assistant", "content": "Hurry."})
    assert of_step(asks(found, loader), "action").earlier == ()


def test_a_prefix_ends_where_the_call_was_asked_for(loader: Loader) -> None:
    """What happened since a call was asked for is not shown, whenever a judge is asked."""
    found = context(("user", "Pay Lumen."), ("assistant", "I am paying."))
    step = asks(found, loader)
    found.add_event("message", "clerk", {"role": "assistant", "content": "Later."})
    assert texts(of_step(step, "prefix").earlier) == ["Pay Lumen.", "I am paying."]
    assert texts(of_run(found).earlier) == ["Pay Lumen.", "I am paying.", "", "Later."]


def test_a_result(loader: Loader) -> None:
    """After a call its result and effects are shown beside it."""
    effects = (effect("world", "change", "bank"),)
    step = asks(context(("user", "Pay.")), loader).with_result(
        Result("paid", CallStatus.OK, effects)
    )
    shown = of_step(step, "action")
    assert shown.result is not None
    assert (shown.result.text, shown.result.status, shown.result.effects) == ("paid", "ok", effects)


def test_a_run_without_a_word() -> None:
    """An empty run has no task and nothing before it."""
    shown = of_run(RunContext(RunInfo()))
    assert (shown.task, shown.earlier, shown.call) == ("", (), None)
