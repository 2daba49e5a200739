"""Conditions in CEL: what holds, what is refused before a run, what fails in one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.cel import SOURCE_LIMIT, Activation, ExpressionError, parse
from tests.support.timing import cpu_below

VARIABLES = frozenset({"a", "world"})
FUNCTIONS = frozenset({"twice"})
CALLABLES = {"twice": lambda text: text * 2}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below, max_size=3)
    ),
    max_leaves=8,
)
SIGNS = st.lists(
    st.sampled_from(
        [*"a.()[]{}!-+*/%<?:,1é`@$\\\"'", "==", "&&", "||", "'x'", "2.5", "true", "null"]
    )
    | st.sampled_from(["exists", "all", "map", "has", "size", "in", "matches", '"""', "//", 'r"("'])
    | st.sampled_from(["0x1F", "1u", 'b"\\xff"', "1e400", "9999999999999999999"]),
    max_size=12,
).map(" ".join)


def holds(source: str, value: Any = None) -> bool:
    """Return whether a condition is true where ``a`` is the value."""
    return parse(source, VARIABLES, FUNCTIONS).holds({"a": value, "world": {}}, CALLABLES)


TRUE: dict[str, Any] = {
    "a == 1": 1,
    "a.b.c == 'x'": {"b": {"c": "x"}},
    "a.exists(p, p.iban == 'X' && p.amount == 1200.0)": [{"iban": "X", "amount": 1200.0}],
    "a.filter(p, p > 1).size() == 2": [1, 2, 3],
    "has(a.b) && !has(a.c)": {"b": None},
    "'b' in a": {"b": 1},
    "a['src/auth.py'].contains('check')": {"src/auth.py": "check()"},
    "a.all(x, a.exists(y, y == x))": [1, 2],
    "twice(a) == 'abab'": "ab",
    "a.matches('^F[0-9]+$')": "F12",
    "a == null": None,
}


@pytest.mark.parametrize("source", TRUE)
def test_a_condition_holds(source: str) -> None:
    """CEL's own operators, macros and the functions given read the values as JSON."""
    assert holds(source, TRUE[source])


@given(JSON)
def test_a_value_equals_itself(value: Any) -> None:
    """Any JSON value can be handed to an expression."""
    assert holds("a == a", value)


REFUSED = {
    "a ==": "not a CEL expression: at character",
    "": "not a CEL expression: at character",
    "word.b": "unknown variable 'word' — did you mean 'world'?",
    "zzz": "unknown variable 'zzz' — there are: a, world",
    "twise(a) == 1": "unknown function 'twise' — did you mean 'twice'?",
    "a.exists(p, q == p)": "unknown variable 'q'",
    "(" * 5000 + "1" + ")" * 5000: "longer than 8000 characters: ((((",
    "(" * 300 + "true" + ")" * 300: "not a CEL expression: at character",
    "1" + "+1" * 50_000 + " > 0": "longer than 8000 characters: 1+1+1",
}


@pytest.mark.parametrize("source", REFUSED, ids=lambda source: source[:12])
def test_a_condition_that_cannot_work_is_refused(source: str) -> None:
    """Syntax, names and size are checked before anything runs."""
    with pytest.raises(ExpressionError) as caught:
        parse(source, VARIABLES, FUNCTIONS)
    assert REFUSED[source] in str(caught.value)


@pytest.mark.parametrize("term", ["+1", "&&true", "||a", ".b", "[0]", "?1:1", "-1"])
def test_the_longest_expression_allowed_is_survived(term: str) -> None:
    """A chain of the greatest length is parsed or refused, and evaluated or failed: no crash."""
    source = "a" + term * ((SOURCE_LIMIT - 1) // len(term))
    with pytest.raises(ExpressionError):
        holds(source, 1)


FAILS: dict[str, tuple[Any, str]] = {
    "a.b == 1": ({}, "no such key 'b' in: a.b == 1"),
    "a['b'] == 1": ({}, "no such key 'b'"),
    "a[5] == 1": ([1], "index out of bounds"),
    "1 / a == 1": (0, "division by zero"),
    "1 % a == 1": (0, "modulo by zero"),
    "a + 1 > 0": (2**63 - 1, "overflow"),
    "a < 1": ("x", "No such overload"),
    "int(a) == 1": ("x", "invalid digit"),
    "a.matches('(')": ("x", "not a valid regex"),
    "a": (5, "not true or false but int: a"),
    "timestamp(a) > timestamp(a)": ("x", "premature end of input"),
}


@pytest.mark.parametrize("source", FAILS)
def test_a_condition_that_fails_on_its_values_says_so(source: str) -> None:
    """Whatever goes wrong in an evaluation is one kind of error, and never true or false."""
    value, message = FAILS[source]
    with pytest.raises(ExpressionError) as caught:
        holds(source, value)
    assert message in str(caught.value)


@given(st.text(max_size=40) | SIGNS)
def test_any_text_is_an_expression_or_refused(source: str) -> None:
    """No text ends in another error than an ExpressionError, neither parsed nor evaluated."""
    try:
        held = holds(source, {"b": 1})
    except ExpressionError:
        return
    assert isinstance(held, bool)


@pytest.mark.parametrize("value", ["x\ud800", ["\udfff"], {"\ud83d": {"b": "\ude00"}}])
def test_text_that_is_not_unicode_can_be_judged(value: Any) -> None:
    """Half a surrogate pair in a model's JSON does not keep the run from being judged."""
    assert holds("a == a", value)


def test_half_a_surrogate_pair_is_shown_escaped() -> None:
    """What cannot be handed over as it is stands as its escape."""
    assert holds(r"a == 'x\\ud800'", "x\ud800")


def test_one_context_serves_several_conditions() -> None:
    """Values are converted once and read by every condition."""
    prepared = Activation({"a": [1, 2], "world": {}}, CALLABLES)
    held = [
        parse(source, VARIABLES, FUNCTIONS).holds_in(prepared)
        for source in ("a.size() == 2", "a[0] == 2", "twice('x') == 'xx'")
    ]
    assert held == [True, False, True]


def test_an_expression_knows_the_variables_it_reads() -> None:
    """Names bound by a macro are not variables of the expression."""
    assert frozenset({"a"}) == parse("a.exists(p, p == 1)", VARIABLES, FUNCTIONS).variables


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(0, 9), st.integers(0, 4))
def test_what_is_only_counted_is_counted_right(numbers: list[int], most: int, count: int) -> None:
    """A filter that is asked for its size counts what a filter collects, however it is written."""
    found = [number for number in numbers if number < most]
    value = {"l": numbers, "m": most, "n": count}
    for source in (
        "a.l.filter(x, x < a.m).size() == a.n",
        "size(a.l.filter(x, x < a.m)) == a.n",
        "size( a.l . filter( x , x < a.m ) ) == a.n && size('size(a.filter(x, true))') == 23",
        'a.l.filter(x, x < a.m && ").filter(" != "(").size() == a.n',
        "a.l.filter(x, a.l.filter(y, y == x).size() > 0 && x < a.m).size() == a.n",
        "size(a.l.filter(x, x < a.m).map(x, [x])) == a.n",
        "(a.l.filter(x, x < a.m) + a.l.filter(x, false)).size() == a.n",
    ):
        assert holds(source, value) == (len(found) == count)


@pytest.mark.parametrize("source", ["a.filter(x, x.no).size() > 0", "size(a.filter(x, x.no)) > 0"])
def test_a_count_that_fails_is_told_as_it_was_written(source: str) -> None:
    """An error names the condition of the file, not what is evaluated in its place."""
    with pytest.raises(ExpressionError, match=re.escape(source)):
        holds(source, [{"yes": 1}])


@pytest.mark.perf
def test_many_are_counted_in_a_moment() -> None:
    """Counting thousands of large items takes no time that grows with the square of their number."""
    item = {"kind": "file", "action": "delete", "detail": {"sha256": "ab" * 32, "size": 3}}
    prepared = Activation({"a": [item] * 3000, "world": {}}, {})
    condition = parse("a.filter(x, x.kind == 'file').size() == 3000", VARIABLES, FUNCTIONS)
    with cpu_below(1):  # collected, it takes 7 s
        assert condition.holds_in(prepared)
