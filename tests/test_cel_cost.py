"""How long a condition may take is told beforehand, and never much too low."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.cel import Activation, Macros, parse
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


ONES = f"[{', '.join(['1'] * 1000)}]"
SHORT = made(effects=[{"argv": ["a"]}] * 300)
DOUBLED: Macros = tuple((f"m{i}", f"m{i - 1} + m{i - 1}" if i else "effects") for i in range(32))


@pytest.mark.parametrize(
    ("source", "macros"),
    [
        (f"{ONES}.all(a, {ONES}.all(b, true))", ()),
        (f"{ONES}.map(x, x).all(a, {ONES}.map(x, x).all(b, true))", ()),
        ("ones.all(a, ones.all(b, true))", (("ones", ONES),)),
        (f"[{{'y': {ONES}}}].all(m, m.y.all(a, m.y.all(b, true)))", ()),
        (f"({' + '.join(['effects'] * 500)}).all(e, true)", ()),
        (f"size({' + '.join(['effects'] * 600)}) > 0", ()),
        ("size(m31) > 0", DOUBLED),
        ("size(d(d(d(d(d(d(d(d(d(d(d(effects)))))))))))) > 0", (("d(x)", "x + x"),)),
    ],
)
def test_a_condition_that_makes_long_lists_by_itself_is_not_light(
    source: str, macros: Macros
) -> None:
    """Lists that stand in a condition, or that it adds up, last as long as those of the agent."""
    condition = parse(source, SCORE_VARIABLES, NAMES, macros)
    assert not condition.is_light({name: SHORT[name] for name in condition.variables})


@pytest.mark.parametrize(
    "loop",
    [
        "effects.all // c'\n (a, {})",
        "effects // c\n . // (\n all\t(a, {})",
        "(effects).all(a, {})",
        "[effects][0].all(a, {})",
        "{{1: effects}}[1].all(a, {})",
        "(true ? effects : [1]).all(a, {})",
    ],
)
def test_no_way_of_writing_hides_a_loop(loop: str) -> None:
    """Comments, spaces and brackets do not make loops within loops light."""
    assert not is_light(loop.format(loop.format(loop.format("true"))), SHORT)


def test_a_world_without_end_is_weighed() -> None:
    """Nesting that no recursion stands is no reason to fail."""
    nested: Any = []
    for _ in range(5000):
        nested = [nested]
    assert is_light("calls.exists(c, c.x == 1)", made(calls=nested))
