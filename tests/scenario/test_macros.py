"""Macros: they read well, mean what stands there, and touch nothing else."""

from __future__ import annotations

import pytest

from sandbox.scenario.macros import Macro, MacroError, defined, expand, expanded
from sandbox.scenario.yaml_positions import parse


def macros(**given: str) -> dict[str, Macro]:
    """Return macros by name; ``outside_r`` stands for ``outside(r)``."""
    named = {
        key.replace("_OF_", "(") + (")" if "_OF_" in key else ""): text
        for key, text in given.items()
    }
    found = dict(defined(named))
    return {macro.name: macro for macro in found.values() if isinstance(macro, Macro)}


KNOWN = macros(
    large="call.args.amount > 5.0",
    outside_OF_r="!scope.recipients.exists(p, glob(r, p))",
    bad="large && call.recipients.exists(who, outside(who))",
)
LARGE = "(call.args.amount > 5.0)"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("large || lang == 'fr'", f"{LARGE} || lang == 'fr'"),
        ("!large", f"!{LARGE}"),
        ("call.large && scope . large", "call.large && scope . large"),
        ("'large' == \"large\" && r'\\' == 'large'", "'large' == \"large\" && r'\\' == 'large'"),
        ("enlarge", "enlarge"),
        ("outside('a, (b')", "(!scope.recipients.exists(p, glob(('a, (b'), p)))"),
        ("outside(call.args.to[0])", "(!scope.recipients.exists(p, glob((call.args.to[0]), p)))"),
        (
            "bad",
            f"({LARGE} && call.recipients.exists(who, (!scope.recipients.exists(p, glob((who), p)))))",
        ),
    ],
)
def test_a_macro_stands_for_its_expression(source: str, expected: str) -> None:
    """Names are replaced in brackets; fields, texts and parts of words are left alone."""
    assert expand(source, KNOWN) == expected


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("large(1)", "takes no brackets"),
        ("outside", "takes (r)"),
        ("outside('a', 'b')", "takes (r)"),
        ("outside('a'", "do not close"),
        (
            "call.recipients.exists(p, outside(p))",
            "'p' has another meaning inside the macro 'outside'",
        ),
    ],
)
def test_what_a_macro_does_not_take(source: str, told: str) -> None:
    """Arguments that are missing, too many, or would mean something else inside are errors."""
    with pytest.raises(MacroError, match=told.replace("(", r"\(").replace(")", r"\)")):
        expand(source, KNOWN)


@pytest.mark.parametrize(
    "key", ["Large", "a b", "a(", "a(x, x)", "call", "glob", "size", "a(call)"]
)
def test_names_that_no_macro_has(key: str) -> None:
    """A macro takes no name of a variable or function, and is written in small letters."""
    ((_, found),) = defined({key: "true"})
    assert isinstance(found, MacroError)


def test_expanding_twice_changes_nothing() -> None:
    """A definition read from a trace has its macros put in already, and may be read again."""
    text = "macros: { large: call.args.amount > 5.0 }\nrules: [{ when: large }]\nscore: { done: '!large' }"
    once = expanded(parse(text, "x"))
    assert once.data["rules"] == [{"when": LARGE}]
    assert once.data["score"] == {"done": f"!{LARGE}"}
    assert expanded(once).data == once.data
