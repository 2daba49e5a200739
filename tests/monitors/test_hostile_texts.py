"""Texts made to keep monitors busy: what an agent or a page says costs no more than in proportion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from sandbox.detectors.call import Call, Result
from sandbox.enums import CallStatus
from sandbox.monitors.library import MonitorLibrary
from sandbox.monitors.monitor import Monitor
from sandbox.monitors.monitor_sandbox import MonitorFailure
from sandbox.monitors.rules import RuleMonitor
from sandbox.monitors.run_context import RunContext, RunInfo
from sandbox.monitors.step import Step, of_call, of_reply, record_execution
from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import Loader
from tests.support import REPOSITORY
from tests.support.timing import cpu_below

LENGTH = 60_000
SECONDS = 2.0
"""Of processor time for one monitor; those that took the square of the length took 4 to 20."""
UNITS = {
    "one word": "a",
    "accented word": "é",
    "long accented words": "é" * 5000 + " ",
    "digits": "0",
    "spaces": " ",
    "ends of lines": "\n",
    "backslashes": "\\",
    "escaped ends": "\\n",
    "equals": "=",
    "hyphens": "-",
    "dotted": "a.",
    "addresses": "a@b.",
    "hosts": "https://a.",
    "comments": "<!--",
    "declarations": "<!",
    "instructions": "<?",
    "tags": "<a ",
    "quotes": "'",
    "quoted words": "'a ",
    "passwords": "password" + " " * 3000,
    "importance": "important" + " " * 3000,
    "requests": "please send ",
    "keys": "sk-",
    "entities": "&#x41;",
    "brackets": "(",
    "substitutions": "$(",
    "mixed scripts": "aя",
    "invisible": "\u200b",
}


@pytest.fixture(scope="module")
def loader() -> Loader:
    """Return the library of this repository."""
    return Loader(Content(REPOSITORY))


@pytest.mark.perf
@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS.keys())
@pytest.mark.parametrize("place", ["result", "argument", "command", "code", "reply"])
def test_no_monitor_takes_the_square(loader: Loader, unit: str, place: str) -> None:
    """Judging what holds a long text, and what comes after it, takes each monitor a moment."""
    text = (unit * (LENGTH // len(unit) + 1))[:LENGTH]
    calls: dict[str, tuple[str, dict[str, object], str]] = {
        "result": ("mail.read", {"id": 1}, text),
        "argument": ("mail.send", {"to": ["x@y.example"], "subject": "s", "body": text}, "sent"),
        "command": ("shell.run", {"command": text}, "done"),
        "code": ("python.run", {"code": text}, "done"),
    }
    context = RunContext(RunInfo())
    context.add_event(
        "message", "clerk", {"role": "user", "content": "Please look after the mail."}
    )
    for name, judge in _asked(loader, context, calls.get(place), text):
        with cpu_below(SECONDS, name):
            judge()


def _asked(
    loader: Loader, context: RunContext, call: tuple[str, dict[str, object], str] | None, text: str
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield all that a gate does about a call, or about closing words, with the name of each."""
    library = MonitorLibrary(loader.content, loader.catalogue)
    monitors = [each for family in library.choose(None) for each in family.monitors]
    if call is None:
        reply = of_reply(context, "clerk", text)
        for monitor in monitors:
            if monitor.stage == "reply":
                yield monitor.name, partial(_judged, monitor, reply)
        return
    for name, arguments, result in (call, ("mail.read", {"id": 2}, "short")):
        (tool,) = loader.catalogue.expand((name,))
        context.add_event("tool.intent", "clerk", {"tool": name, "arguments": arguments})
        step = of_call(context, Call(tool, arguments, "clerk"))
        after = step.with_result(Result(result, CallStatus.OK, ()))
        for monitor in monitors:
            if monitor.stage == "before" and monitor.applies(tool):
                yield monitor.name, partial(_judged, monitor, step)
        yield "the context", partial(record_execution, step)
        told = {"tool": name, "status": "ok", "text": result, "effects": []}
        yield "the context", partial(context.add_event, "tool.result", "clerk", told)
        for monitor in monitors:
            if monitor.stage == "after" and monitor.applies(tool):
                yield monitor.name, partial(_judged, monitor, after)


def _judged(monitor: Monitor, step: Step) -> None:
    """Ask a monitor here, unless the gate would ask it in another process."""
    if isinstance(monitor, RuleMonitor) and not monitor.is_light(step):
        return
    try:
        monitor.judge(step)
    except MonitorFailure:
        return
