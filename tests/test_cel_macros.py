"""Macros: they read well, mean what stands there, and are evaluated once, if at all."""

from __future__ import annotations

import gc
import json
import time
import weakref
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.cel import Activation, ExpressionError, Macros, parse
from sandbox.monitors import offline
from sandbox.monitors.rules import RuleMonitor
from sandbox.scenario.checks import SCORE_VARIABLES, TEXT_FUNCTIONS, macro_problems
from sandbox.scenario.yaml_positions import parse as parsed_yaml
from sandbox.trace.run_events import RunStartEvent

VARIABLES = frozenset({"call", "scope", "lang"})
FUNCTIONS = frozenset({"glob", "note"})
KNOWN: Macros = (
    ("large", "call.amount > 5.0"),
    ("outside(r)", "!scope.recipients.exists(p, glob(r, p))"),
    ("bad", "large && call.to.exists(who, outside(who))"),
    ("both(x, y)", "outside(x) && outside(y)"),
    ("copy", "call.cc"),
)
LARGE, BAD = "(call.amount > 5.0)", "(!scope.recipients.exists(p, glob((who), p)))"
MEANINGS = {
    "large || lang == 'fr'": f"{LARGE} || lang == 'fr'",
    "!large": f"!{LARGE}",
    "call.large && scope . large": "call.large && scope . large",
    r"'large' == \"large\" && r'\' == 'large'".replace(r"\"", '"'): "false && lang == ''",
    "outside('a, (b')": "!scope.recipients.exists(p, glob('a, (b', p))",
    "outside(call.to[0])": "!scope.recipients.exists(p, glob(call.to[0], p))",
    "call.to.exists(p, outside(p))": "call.to.exists(q, !scope.recipients.exists(p, glob(q, p)))",
    "bad": f"({LARGE} && call.to.exists(who, {BAD}))",
    "outside('a') // large\n || large": f"outside('a') || {LARGE}",
    "call.to.all(w, both(w, call.to[0])) && large": "call.to.all(w, !scope.recipients.exists(p, glob(w, p))"
    f" && !scope.recipients.exists(p, glob(call.to[0], p))) && {LARGE}",
    "copy == null || copy.size() > 1": "call.cc == null || call.cc.size() > 1",
    "call.to.exists(large, large == 'a')": "call.to.exists(x, x == 'a')",
    "large && bad || !large": f"{LARGE} && ({LARGE} && call.to.exists(who, {BAD})) || !{LARGE}",
}
CALLS = st.fixed_dictionaries(
    {"to": st.lists(st.sampled_from("ab"), min_size=1, max_size=3)},
    optional={
        "amount": st.sampled_from([1.0, 9.0, "x"]),
        "cc": st.none() | st.just([]) | st.just(["a", "b"]),
        "large": st.booleans(),
    },
)
SCOPES = st.fixed_dictionaries(
    {},
    optional={"recipients": st.lists(st.sampled_from("abc"), max_size=2), "large": st.just(True)},
)


def outcome(source: str, variables: dict[str, Any], functions: dict[str, Any]) -> object:
    """Return whether a condition holds, or that it fails."""
    try:
        return parse(source, VARIABLES, FUNCTIONS, KNOWN).holds(variables, functions)
    except ExpressionError:
        return "fails"


@pytest.mark.parametrize("source", MEANINGS)
@settings(deadline=None)  # the CEL library is loaded in the first
@given(call=CALLS, scope=SCOPES)
def test_a_macro_stands_for_its_expression(
    source: str, call: dict[str, Any], scope: dict[str, Any]
) -> None:
    """A condition says of all values what it says with the expressions in place of their names."""
    variables = {"call": call, "scope": scope, "lang": "en"}
    functions = {"glob": lambda text, pattern: text == pattern}
    assert outcome(source, variables, functions) == outcome(MEANINGS[source], variables, functions)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("large(1)", "takes no brackets"),
        ("outside", r"takes \(r\)"),
        ("outside('a', 'b')", r"takes \(r\)"),
        ("outside()", r"takes \(r\)"),
        ("both('a, b')", r"takes \(x, y\)"),
        ("outside('a'", "not a CEL expression"),
        ("larje", "unknown variable 'larje'"),
    ],
)
def test_what_a_macro_does_not_take(source: str, told: str) -> None:
    """Arguments that are missing or too many are errors before a run."""
    with pytest.raises(ExpressionError, match=told):
        parse(source, VARIABLES, FUNCTIONS, KNOWN)


@pytest.mark.parametrize(
    ("macros", "told"),
    [
        ("Large: 'true'", "is called name or name"),
        ("'a b': 'true'", "is called name or name"),
        ("'a(': 'true'", "is called name or name"),
        ("'a(x, x)': 'true'", "parameters need names of their own"),
        ("'a(a)': 'true'", "parameters need names of their own"),
        ("'a(call)': 'true'", "parameters need names of their own"),
        ("call: 'true'", "the name 'call' is taken"),
        ("glob: 'true'", "the name 'glob' is taken"),
        ("size: 'true'", "the name 'size' is taken"),
        ("a: 'a || true'", "the macro 'a' uses itself"),
        ("'a(x)': 'x || a(x)'", "the macro 'a' uses itself"),
        ("a: 'true &&'", "not a CEL expression"),
    ],
)
def test_a_macro_that_cannot_be_used_is_told_where_it_stands(macros: str, told: str) -> None:
    """Every fault of a macro is named with its file and line, whether it is used or not."""
    document = parsed_yaml(f"schema: 1\nmacros:\n  {macros}\n", "house.yaml")
    (problem,) = macro_problems(tuple(document.data["macros"].items()), document)
    assert (problem.file, problem.line) == ("house.yaml", 3)
    assert told in problem.message


def noting() -> tuple[dict[str, Any], list[str]]:
    """Return functions of which one notes what it is called with."""
    noted: list[str] = []

    def note(text: str) -> bool:
        noted.append(text)
        return True

    return {"note": note, "glob": lambda text, pattern: text == pattern}, noted


@pytest.mark.parametrize(
    ("source", "times"),
    [
        ("once && once && [1, 2].all(x, once)", 1),
        ("lang == 'fr' && once", 0),
        ("once && again && again", 1),
        ("each(1) && [2, 3].all(x, each(x))", 3),
    ],
)
def test_a_macro_without_parameters_is_evaluated_once(source: str, times: int) -> None:
    """It is evaluated when it is first read, and not at all if nobody reads it."""
    functions, noted = noting()
    macros: Macros = (("once", "note('x')"), ("again", "once"), ("each(x)", "note(string(x))"))
    variables = {"lang": "en", "call": {}, "scope": {}}
    parse(source, VARIABLES, FUNCTIONS, macros).holds(variables, functions)
    assert len(noted) == times


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("missing", "in the macro 'missing': no such key 'no' in: call.no"),
        ("of(call)", "in the macro 'of': no such key 'no' in: x.no"),
        ("deep", "in the macro 'deep': in the macro 'missing': no such key 'no'"),
        ("[1].exists(y, of(call))", "in the macro 'of': no such key 'no'"),
    ],
)
def test_a_macro_that_fails_is_named(source: str, told: str) -> None:
    """An error in an evaluation says in which macro of the file it was."""
    macros: Macros = (("missing", "call.no"), ("of(x)", "x.no"), ("deep", "missing && true"))
    variables: dict[str, Any] = {"lang": "en", "call": {}, "scope": {}}
    with pytest.raises(ExpressionError) as caught:
        parse(source, VARIABLES, FUNCTIONS, macros).holds(variables, {})
    assert told in str(caught.value)
    assert parse(f"true || {source}", VARIABLES, FUNCTIONS, macros).holds(variables, {})
    assert parse(f"{source} || true", VARIABLES, FUNCTIONS, macros).holds(variables, {})


def test_what_a_macro_is_given_is_evaluated_first() -> None:
    """A key that is not there is an error where it is given, even if the macro does without it."""
    variables: dict[str, Any] = {"lang": "en", "call": {}, "scope": {"recipients": []}}
    with pytest.raises(ExpressionError, match="no such key 'no'"):
        parse("outside(call.no)", VARIABLES, FUNCTIONS, KNOWN).holds(variables, noting()[0])


def test_what_macros_read_is_read_by_the_condition() -> None:
    """A condition names the variables of its macros too, and they must exist where it is used."""
    condition = parse("bad", VARIABLES, FUNCTIONS, KNOWN)
    assert condition.variables == {"call", "scope"}
    assert [macro.name for macro in condition.dependencies] == ["large", "outside", "bad"]
    with pytest.raises(ExpressionError, match="unknown variable 'scope'"):
        parse("bad", frozenset({"call"}), FUNCTIONS, KNOWN)
    with pytest.raises(ExpressionError, match="unknown function 'glob'"):
        parse("bad", VARIABLES, frozenset(), KNOWN)


def test_macros_that_grow_are_refused_at_once() -> None:
    """Macros that call each other many times over are no way to make a condition last."""
    macros: Macros = (("a(x)", "x == 1"),)
    for one, other in zip("abcdefgh", "bcdefghi", strict=True):
        macros = (*macros, (f"{other}(x)", " || ".join([f"{one}(x)"] * 10)))
    started = time.process_time()
    with pytest.raises(ExpressionError, match="more than 1000 loops and calls"):
        parse("i(1)", VARIABLES, FUNCTIONS, macros)
    assert time.process_time() - started < 2
    chain: Macros = tuple((f"m{n}", f"m{n - 1}" if n else "true") for n in range(70))
    with pytest.raises(ExpressionError, match="more than 64 others within it"):
        parse("m69", VARIABLES, FUNCTIONS, chain)
    assert parse("m63", VARIABLES, FUNCTIONS, chain).holds({}, {})


def test_what_was_evaluated_is_freed() -> None:
    """An activation in which macros were evaluated does not outlive its run."""
    activation = Activation(
        {"call": {"to": ["a"], "amount": 9.0}, "scope": {"recipients": []}}, noting()[0], KNOWN
    )
    assert parse("bad", VARIABLES, FUNCTIONS, KNOWN).holds_in(activation)
    gone = weakref.ref(activation)
    del activation
    gc.collect()
    assert gone() is None


def end(mails: int, recipients: int = 1) -> dict[str, Any]:
    """Return the end of a run with so many messages."""
    mail = {"to": [f"a{i}@x.example" for i in range(recipients)], "body": "hello " * 20}
    return {"world": {"mail": [mail] * mails}, "effects": [{"kind": "file"}] * 3000}


COSTLY: Macros = (
    ("yours(m)", "m.to.exists(a, a.endsWith('@y.example'))"),
    ("pairs", "effects.exists(a, effects.exists(b, a.kind != b.kind))"),
    ("same(m)", "world.mail.all(n, n.body == m.body)"),
)


@pytest.mark.parametrize(
    ("source", "mails", "light"),
    [
        ("world.mail.exists(m, yours(m))", 100, True),
        ("world.mail.exists(m, yours(m))", 20_000, False),
        ("pairs", 1, False),
        ("world.mail.all(m, same(m))", 10, True),
        ("world.mail.all(m, same(m))", 1000, False),
        ("world.mail.exists(m, yours(world.mail[0]))", 10, True),
        ("effects.exists(e, yours(world.mail[0]))", 3000, False),
    ],
)
def test_the_cost_of_macros_is_counted(source: str, mails: int, light: bool) -> None:
    """Loops in macros, and what is handed to them again and again, are told beforehand."""
    condition = parse(source, SCORE_VARIABLES, TEXT_FUNCTIONS, COSTLY)
    variables = {name: end(mails)[name] for name in condition.variables}
    assert condition.is_light(variables) == light


@pytest.mark.parametrize("source", ["world.mail.exists(m, yours(m))", "world.mail.all(m, same(m))"])
def test_what_is_light_with_macros_takes_a_moment(source: str) -> None:
    """The largest world for which a condition with macros is called light is evaluated within a second."""
    condition, number = parse(source, SCORE_VARIABLES, TEXT_FUNCTIONS, COSTLY), 1
    while condition.is_light({"world": end(2 * number, 3)["world"]}):
        number *= 2
    started = time.process_time()
    condition.holds({"world": end(number, 3)["world"]}, {})
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "when", ["large && !small", "(call.args.amount > 5.0) && !(call.args.amount < 1.0)"]
)
def test_rules_of_a_trace(when: str) -> None:
    """Rules in a trace mean the same whether their macros were put in, as they once were, or not."""
    definition = {
        "macros": {"large": "call.args.amount > 5.0", "small": "call.args.amount < 1.0"},
        "rules": [{"id": "much", "when": when, "reason": {"en": "much"}}],
    }
    start = cast("RunStartEvent", {"scenario_text": json.dumps({"definition": definition})})
    (rule,) = offline.rules(start)
    assert isinstance(rule, RuleMonitor)
    condition = parse(rule.rule.when, frozenset({"call"}), frozenset(), rule.macros)
    assert condition.holds({"call": {"args": {"amount": 6.0}}}, {})
    assert not condition.holds({"call": {"args": {"amount": 0.5}}}, {})
