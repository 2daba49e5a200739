"""Conditions in CEL, the Common Expression Language (https://cel.dev): scorers and rules.

An expression is data, not host code: it cannot loop without bound, call out or change anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from sandbox import cel_cost
from sandbox.cel_cost import MACRO
from sandbox.errors import InputError, nearest

Functions = Mapping[str, Callable[..., Any]]

BOUND = re.compile(r"\.(?:all|exists|exists_one|filter|map)\(\s*([A-Za-z_]\w*)\s*,")
_SIZED = re.compile(r"\s*\.\s*size\s*\(\s*\)")
_SIZE_OF = re.compile(r"(?<![\w.])size\s*\(\s*$")
STANDARD = frozenset(
    [
        "size",
        "has",
        "contains",
        "startsWith",
        "endsWith",
        "matches",
        "string",
        "int",
        "double",
        "uint",
        "bool",
        "type",
        "duration",
        "timestamp",
        "min",
        "max",
        "dyn",
        "bytes",
    ]
)


SOURCE_LIMIT = 8000
"""Characters of one expression; the parser's C stack does not stand chains many times as long."""


class ExpressionError(InputError):
    """An expression that cannot be parsed, or that failed on the values it was given."""


@dataclass(frozen=True)
class Expression:
    """A parsed condition."""

    source: str
    variables: frozenset[str]
    """Names of the top-level variables that it reads."""
    _program: Any

    @cached_property
    def _loops(self) -> tuple[tuple[cel_cost.Loop, ...], ...]:
        return cel_cost.loops(self.source)

    @cached_property
    def _searched(self) -> float:
        return cel_cost.searched(self.source)

    @cached_property
    def may_last(self) -> bool:
        """Whether its time depends on what it reads, beyond a moment for a long text."""
        return cel_cost.may_last(self._loops, self._searched)

    def is_light(self, variables: Mapping[str, Any]) -> bool:
        """Return whether it is sure to be evaluated within a moment.

        Args:
            variables: Those that it reads; what is in them may be the agent's.
        """
        if not self.may_last:
            return True
        spent = cel_cost.microseconds(self._loops, self._searched, variables)
        return spent <= cel_cost.LIGHT_MICROSECONDS

    def holds(self, variables: Mapping[str, Any], functions: Functions) -> bool:
        """Return whether the condition is true of the variables.

        Raises:
            ExpressionError: A key is missing, types do not fit, or the value is not a boolean.
        """
        return self.holds_in(context(variables, functions))

    def holds_in(self, prepared: Any) -> bool:
        """Return whether the condition is true in a context prepared with :func:`context`.

        Raises:
            ExpressionError: As for :meth:`holds`.
        """
        try:
            value = self._program.execute(prepared)
        except KeyError as error:
            raise ExpressionError(f"no such key {error} in: {self.source}") from error
        except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as error:
            raise ExpressionError(f"{error} in: {self.source}") from error
        if not isinstance(value, bool):
            raise ExpressionError(f"not true or false but {type(value).__name__}: {self.source}")
        return value


def context(variables: Mapping[str, Any], functions: Functions) -> Any:
    """Return a context that several expressions can be evaluated in: conversion happens once.

    Texts that are not Unicode, such as half a surrogate pair in a model's JSON, show it escaped:
    no agent keeps itself from being judged by writing one.
    """
    import cel

    try:
        return cel.Context(variables=dict(variables), functions=dict(functions))
    except ValueError:
        return cel.Context(variables=_encodable(dict(variables)), functions=dict(functions))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(item) for item in value]
    return value


@lru_cache(maxsize=4096)
def parse(source: str, variables: frozenset[str], functions: frozenset[str]) -> Expression:
    """Parse a condition and check the names in it.

    Args:
        source: The expression.
        variables: The variables that will exist.
        functions: The functions that will exist, beside CEL's own.

    Raises:
        ExpressionError: It is not CEL, or it uses a name that will not exist.
    """
    import cel

    if len(source) > SOURCE_LIMIT:
        raise ExpressionError(f"longer than {SOURCE_LIMIT} characters: {source[:60]}…")
    try:
        program = cel.compile(source)
    except ValueError as error:
        raise ExpressionError(_syntax(str(error))) from error
    bound = set(BOUND.findall(source))
    used = set(program.variables()) - bound
    _check("variable", used, variables)
    called = {name for name in program.functions() if name.isidentifier()}
    _check("function", called - STANDARD, functions)
    counting = _counting(source)
    if counting != source:
        program = cel.compile(counting)
    return Expression(source, frozenset(used), program)


def _counting(source: str) -> str:
    """Return an expression in which what is only counted is not collected.

    ``l.filter(x, p).size()`` copies all that it has found at each addition: 7.7 s for 3,000 effects that
    fit. ``l.map(x, p, null).size()`` is as many, evaluates the same, fails the same, and takes 0.03 s.
    """
    if ".filter" not in source or _has_comment(source):
        return source
    stack: list[re.Match[str]] = []
    edits: list[tuple[int, int, str]] = []
    for token in MACRO.finditer(source):
        if token["loop"] or token["open"]:
            stack.append(token)
        elif token["close"] and stack:
            opened = stack.pop()
            if opened["loop"] == "filter" and _is_counted(source, opened, token.end()):
                edits.append((opened.start("loop"), opened.end("loop"), "map"))
                edits.append((token.start(), token.end(), ", null)"))
    for start, end, text in sorted(edits, reverse=True):
        source = source[:start] + text + source[end:]
    return source


def _is_counted(source: str, opened: re.Match[str], end: int) -> bool:
    """Return whether of the list that a macro makes nothing but the size is asked."""
    if _SIZED.match(source, end):
        return True
    inside = bool(opened["path"]) and bool(_SIZE_OF.search(source[: opened.start()]))
    return inside and source[end:].lstrip().startswith(")")


def _has_comment(source: str) -> bool:
    """Return whether there may be signs that are no code outside of plain strings."""
    if '"""' in source or "'''" in source:
        return True
    return "//" in MACRO.sub(lambda token: "" if token[0][:1] in "rR\"'" else token[0], source)


def _check(what: str, used: Iterable[str], known: frozenset[str]) -> None:
    for name in sorted(used):
        if name not in known and not name.startswith(("_", "@")):
            raise ExpressionError(f"unknown {what} {name!r}{nearest(name, known)}")


def _syntax(message: str) -> str:
    found = re.search(r"ERROR: <input>:\d+:(\d+): (.*)", message)
    if not found:
        return f"not a CEL expression: {message.splitlines()[0]}"
    return f"not a CEL expression: at character {found[1]}: {found[2].split(', expecting')[0]}"
