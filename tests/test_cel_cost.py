"""How long a condition may take is told beforehand, and never much too low."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.cel import Activation, parse
from sandbox.monitors.step import TEXT_FUNCTIONS
from sandbox.scenario.checks import SCORE_VARIABLES
from sandbox.scenario.checks import TEXT_FUNCTIONS as NAMES
from tests.support.timing import cpu_below

MESSAGES = [{"to": [f"a{i}@x.example"], "cc": [], "body": "hello there " * 20} for i in range(60)]
END: dict[str, Any] = {
    "world": {"mail": {"messages": MESSAGES}},
    "initial": {},
    "files": {"a.txt": "word " * 200},
    "calls": [],
    "effects": [],
    "network": [],
    "final": "done",
    "canary": {"key": "secret-of-the-run"},
    "lang": "en",
}
ANYWHERE = "world.mail.messages.exists(m, m.to.exists(a, a.endsWith('@y.example')) || holds(m.body, canary.key))"


def made(**changes: Any) -> dict[str, Any]:
    """Return the end of a run with other values."""
    return END | changes


def mails(number: int, **fields: Any) -> dict[str, Any]:
    """Return the end of a run with so many messages alike."""
    message = {"to": ["a@x.example"], "cc": [], "body": "hello"} | fields
    return made(world={"mail": {"messages": [message] * number}})


def is_light(source: str, end: dict[str, Any]) -> bool:
    """Return whether a condition of a score is light."""
    condition = parse(source, SCORE_VARIABLES, NAMES)
    return condition.is_light({name: end[name] for name in condition.variables})


@pytest.mark.parametrize(
    ("source", "end"),
    [
        (ANYWHERE, END),
        ("effects.exists(e, e.kind == 'file')", made(effects=[{"kind": "world"}] * 3000)),
        ("files['a.txt'].contains('x')", made(files={"a.txt": "word " * 500_000})),
        ("final.contains('effects.all(a, effects.all(b, true))')", END),
        ("['a', 'b'].exists(k, final.contains(k))", END),
    ],
)
def test_what_is_light(source: str, end: dict[str, Any]) -> None:
    """Conditions over worlds as scenarios have them need no process of their own."""
    assert is_light(source, end)


@pytest.mark.parametrize(
    ("source", "end"),
    [
        ("effects.all(a, effects.all(b, a.n == b.n))", made(effects=[{"n": 1}] * 500)),
        ("effects.filter(e, e.n == 1).exists(e, e.n == 2)", made(effects=[{"n": 1}] * 3000)),
        ("holds(files['a.txt'], canary.key)", made(files={"a.txt": "word " * 100_000})),
        (
            "calls.exists(c, final.contains(c.x) && holds(final, c.x))",
            made(calls=[{"x": "y"}] * 100, final="word " * 5000),
        ),
        (
            "world.mail.messages.exists(m, m.to.exists(a, m.cc.exists(b, a == b)))",
            mails(1, to=["a"] * 1000, cc=["b"] * 1000),
        ),
        (
            "world.mail.messages.exists(m, m.to.exists(a, holds(m.body, a)))",
            mails(1, to=["key-of-it"] * 1000, body="word " * 4000),
        ),
        (
            "world.mail.messages.exists(m, ['a', 'b', 'c'].exists(k, holds(m.body, k)))",
            mails(50, body="word " * 1000),
        ),
    ],
)
def test_what_is_not(source: str, end: dict[str, Any]) -> None:
    """What an agent can make last is told, however the lists are nested and skewed."""
    assert not is_light(source, end)


@pytest.mark.perf
@pytest.mark.parametrize(
    "source",
    [
        ANYWHERE,
        "world.mail.messages.all(m, world.mail.messages.exists(n, n.body != m.body || true))",
    ],
)
def test_what_is_light_takes_a_moment(source: str) -> None:
    """The largest world for which a condition is called light is evaluated within a second."""
    number = 1
    while is_light(source, mails(2 * number)):
        number *= 2
    end = mails(number)
    condition = parse(source, SCORE_VARIABLES, NAMES)
    prepared = Activation({name: end[name] for name in condition.variables}, TEXT_FUNCTIONS)
    with cpu_below(1):
        condition.holds_in(prepared)


def test_a_world_without_end_is_weighed() -> None:
    """Nesting that no recursion stands is no reason to fail."""
    nested: Any = []
    for _ in range(5000):
        nested = [nested]
    assert is_light("calls.exists(c, c.x == 1)", made(calls=nested))
