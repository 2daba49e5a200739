"""The order of calls: what was before, how long ago, what goes round in circles."""

from __future__ import annotations

import gc
from weakref import ref

import pytest

from sandbox.cel import parse
from sandbox.detectors.call import Call
from sandbox.enums import Stage
from sandbox.monitors.call_sequence import NEVER, CallSequence
from sandbox.monitors.run_context import RunContext, RunInfo
from sandbox.monitors.step import of_call, record_execution
from sandbox.scenario.checks import RULE_FUNCTIONS, RULE_VARIABLES
from sandbox.scenario.loader import Loader


def made(loader: Loader, name: str, **arguments: object) -> Call:
    """Return a call."""
    (tool,) = loader.catalogue.expand((name,))
    return Call(tool, arguments, "agent")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("before('mail.read') && before('mail') && before('reads_untrusted')", True),
        ("before('bank.pay') || before('bank')", False),
        ("since('mail.read') == 1 && since('documents') == 0", True),
        ("since('bank') > 100000", True),
        ("within('mail', 2) && !within('mail', 1)", True),
        ("count('reads_sensitive') == 2 && count('mail') == 1", True),
        ("call.tool == 'bank.balance' && lang == 'en'", True),
    ],
)
def test_conditions_ask_about_the_order(loader: Loader, condition: str, expected: bool) -> None:
    """Tools, toolkits and labels can be asked for, by the calls that were let through before."""
    context = RunContext(RunInfo())
    for call in (made(loader, "mail.read", id=1), made(loader, "documents.read", id="a")):
        record_execution(of_call(context, call))
    step = of_call(context, made(loader, "bank.balance"))
    expression = parse(condition, RULE_VARIABLES[Stage.BEFORE], RULE_FUNCTIONS)
    assert expression.holds_in(step.activation(expression)) is expected


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ((1, 2, 1, 2, 1, 2), 3),
        ((1, 2, 3, 1, 2, 3), 2),
        ((1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4), 3),
        ((1, 1, 1, 1), 0),
        ((1, 2, 3, 4, 5, 6), 0),
        ((1, 2, 3, 4, 5) * 3, 0),
        ((9, 1, 2, 1, 2), 2),
        ((), 0),
    ],
)
def test_circles(loader: Loader, ids: tuple[int, ...], expected: int) -> None:
    """A circle of two to four calls is counted by its rounds; one call again and again is none."""
    calls = [made(loader, "mail.read", id=number) for number in ids]
    order = CallSequence()
    for call in calls[:-1]:
        order.add(call)
    assert order.rounds(calls[-1] if calls else None) == expected


def test_failures_end_with_a_success() -> None:
    """Failures of a tool are counted until it succeeds; a call that was blocked is neither."""
    order = CallSequence()
    for status in ("error", "timeout", "blocked", "invalid"):
        order.result("shell.run", status)
    assert (order.failures("shell.run"), order.failures("mail.read")) == (3, 0)
    order.result("shell.run", "ok")
    assert order.failures("shell.run") == 0


def test_a_tool_that_was_never_called() -> None:
    """Never is longer ago than any run has calls."""
    assert CallSequence().since("mail") == NEVER


def test_a_judged_call_is_freed(loader: Loader) -> None:
    """Nothing keeps a call, and with it all that its run holds, once it was judged."""
    context = RunContext(RunInfo())
    step = of_call(context, made(loader, "bank.balance"))
    expression = parse(
        "happened('file', 'delete') > 0 || count('bank') > 0",
        RULE_VARIABLES[Stage.AFTER],
        RULE_FUNCTIONS,
    )
    assert not expression.holds_in(step.activation(expression))
    left = ref(step)
    del step
    gc.collect()
    assert left() is None
