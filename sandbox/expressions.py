"""Conditions in CEL, the Common Expression Language (https://cel.dev): scorers and rules.

An expression is data, not host code: it cannot loop without bound, call out or change anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from sandbox.errors import InputError, nearest

Functions = Mapping[str, Callable[..., Any]]

BOUND = re.compile(r"\.(?:all|exists|exists_one|filter|map)\(\s*([A-Za-z_]\w*)\s*,")
_LOOP = re.compile(
    r"""[rR](?:"[^"\n]*"|'[^'\n]*')|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
    r"|(?P<path>[A-Za-z_][\w.]*)?\s*\.\s*(?P<loop>all|exists|exists_one|filter|map)\s*\(|(?P<open>\()|(?P<close>\))"
)
_SIZED = re.compile(r"\s*\.\s*size\s*\(\s*\)")
_SIZE_OF = re.compile(r"(?<![\w.])size\s*\(\s*$")
_SEARCHES = re.compile(
    r"\b(?:contains|matches|holds|decoded|glob|lower|asked|startsWith|endsWith)\s*\("
)
_DECODES = re.compile(r"\b(?:holds|decoded)\s*\(")
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


LIGHT_MICROSECONDS = 200_000
"""A condition that may take longer is not evaluated in the host's process."""
_ROUND_MICROSECONDS = 2.0
_COPIED_MICROSECONDS = 0.9
_SEARCHED_MICROSECONDS = 0.002
_DECODED_MICROSECONDS = 1.0
"""Measured for one round of a loop over effects, one effect in a list that ``filter`` makes, at each addition;
and for a character that is searched, or decoded and searched."""

SOURCE_LIMIT = 8000
"""Characters of one expression; the parser's C stack does not stand chains many times as long."""


class ExpressionError(InputError):
    """An expression that cannot be parsed, or that failed on the values it was given."""


@dataclass(frozen=True)
class Loop:
    """A macro that goes over a list or a map."""

    path: str
    """Such as ``call.recipients``; empty where it goes over what has no name."""
    collects: bool
    """Whether it makes a list: the evaluator copies all of it at each addition."""


@dataclass(frozen=True)
class Expression:
    """A parsed condition."""

    source: str
    variables: frozenset[str]
    """Names of the top-level variables that it reads."""
    _program: Any

    @cached_property
    def loops(self) -> tuple[tuple[Loop, ...], ...]:
        """Its macros such as ``exists``: each one, behind all those around it."""
        return _loops(self.source)

    @cached_property
    def searches(self) -> bool:
        """Whether it uses functions whose time depends on the length of texts."""
        return bool(_SEARCHES.search(self.source))

    @cached_property
    def decodes(self) -> bool:
        """Whether it looks into texts through their encodings."""
        return bool(_DECODES.search(self.source))

    def microseconds(self, size: Callable[[str], int], read: int) -> float:
        """Return about how long it may take: rounds of its loops, and what one costs.

        Args:
            size: From the path of a list, such as ``call.recipients``, to how many items it has.
            read: Characters of the texts that are searched in one round.
        """
        rounds, copied = 0, 0
        for chain in self.loops:
            product = 1
            for loop in chain:
                items = max(1, size(loop.path))
                product *= items
                copied += product * items if loop.collects else 0
            rounds += product
        each = _ROUND_MICROSECONDS
        if self.searches:
            each += read * (_DECODED_MICROSECONDS if self.decodes else _SEARCHED_MICROSECONDS)
        return max(1, rounds) * each + copied * _COPIED_MICROSECONDS

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


def size(path: str, variables: Mapping[str, Any]) -> int:
    """Return how many items a list has among the variables of a condition.

    Args:
        path: Such as ``call.recipients``; where it begins with no variable, the longest list counts.
        variables: Those that the condition reads.
    """
    first, *keys = path.split(".")
    if first in variables:
        node = variables[first]
        for key in keys:
            node = node.get(key) if isinstance(node, Mapping) else None
        return len(node) if isinstance(node, Mapping | list | tuple) else 0
    return max(map(_longest, variables.values()), default=0)


def _longest(value: Any) -> int:
    """Return the size of the largest list or map in a value."""
    most, waiting = 0, [value]  # no recursion: an agent nests as deep as it likes
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            waiting.extend(node.values())
        elif isinstance(node, list | tuple):
            waiting.extend(node)
        else:
            continue
        most = max(most, len(node))
    return most


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
    for token in _LOOP.finditer(source):
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
    return "//" in _LOOP.sub(lambda token: "" if token[0][:1] in "rR\"'" else token[0], source)


def _loops(source: str) -> tuple[tuple[Loop, ...], ...]:
    stack: list[Loop | None] = []
    found: list[tuple[Loop, ...]] = []
    for token in _LOOP.finditer(source):
        if token["loop"]:
            stack.append(Loop(token["path"] or "", token["loop"] in ("filter", "map")))
            found.append(tuple(item for item in stack if item is not None))
        elif token["open"]:
            stack.append(None)
        elif token["close"] and stack:
            stack.pop()
    return tuple(found)


def _check(what: str, used: Iterable[str], known: frozenset[str]) -> None:
    for name in sorted(used):
        if name not in known and not name.startswith(("_", "@")):
            raise ExpressionError(f"unknown {what} {name!r}{nearest(name, known)}")


def _syntax(message: str) -> str:
    found = re.search(r"ERROR: <input>:\d+:(\d+): (.*)", message)
    if not found:
        return f"not a CEL expression: {message.splitlines()[0]}"
    return f"not a CEL expression: at character {found[1]}: {found[2].split(', expecting')[0]}"
