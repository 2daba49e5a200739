"""Macros: conditions with a name, put in place of it before a condition is parsed.

A map ``macros`` in a scenario or a family of rules gives names to expressions, with parameters where
they are wanted::

    macros:
      outside(r): "!scope.recipients.exists(p, glob(r, p))"
      leaves: has(scope.recipients) && call.recipients.exists(who, outside(who))
    rules:
      - when: leaves && size(call.text) > 2000

A macro may use those that stand above it, so none can end up in itself. What is put in place stands
in brackets, and all names in it are checked where it is used.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.cel import BOUND, SOURCE_LIMIT, STANDARD
from sandbox.errors import ScenarioError
from sandbox.scenario.checks import RULE_FUNCTIONS, RULE_VARIABLES, SCORE_VARIABLES
from sandbox.scenario.yaml_positions import Located, Path

_TOKEN = re.compile(
    r"""(?P<text>[bB]?[rR][bB]?(?:\"\"\".*?\"\"\"|'''.*?'''|"[^"\n]*"|'[^'\n]*')
       |[bB]?(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
       |(?P<comment>//[^\n]*)
       |(?P<name>[A-Za-z_]\w*)
       |(?P<number>\d[\w.]*)
       |(?P<space>\s+)
       |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_HEAD = re.compile(r"([a-z][a-z0-9_]*)(?:\(\s*([a-z]\w*(?:\s*,\s*[a-z]\w*)*)\s*\))?")
_RESERVED = frozenset({"true", "false", "null", "in"}).union(
    STANDARD, RULE_FUNCTIONS, SCORE_VARIABLES, *RULE_VARIABLES.values()
)
_OPEN, _CLOSE = "([{", ")]}"


class MacroError(ValueError):
    """A macro that cannot be used as it is written, or where it is written."""


@dataclass(frozen=True)
class Macro:
    """An expression with a name."""

    name: str
    parameters: tuple[str, ...]
    body: str
    """All macros in it put in place."""

    def filled(self, given: tuple[str, ...]) -> str:
        """Return the body with arguments for its parameters, in brackets."""
        if len(given) != len(self.parameters):
            wants = f"({', '.join(self.parameters)})" if self.parameters else "no brackets"
            raise MacroError(f"the macro {self.name!r} takes {wants}")
        bound = set(BOUND.findall(self.body))
        for text in given:
            if clash := bound & _names(text):
                raise MacroError(
                    f"{min(clash)!r} has another meaning inside the macro {self.name!r}:"
                    " give it another name"
                )
        values = dict(zip(self.parameters, given, strict=True))
        if not values:
            return f"({self.body})"
        parts = [
            f"({values[text]})" if kind == "name" and text in values and not field else text
            for kind, text, field in _tokens(self.body)
        ]
        return f"({''.join(parts)})"


def defined(macros: Mapping[str, str]) -> Iterator[tuple[str, Macro | MacroError]]:
    """Yield each key with its macro, or with what is wrong with it.

    Args:
        macros: ``name`` or ``name(parameter, …)`` → expression, in order.
    """
    known: dict[str, Macro] = {}
    for key, source in macros.items():
        try:
            macro = _macro(key, source, known)
        except MacroError as error:
            yield key, error
            continue
        known[macro.name] = macro
        yield key, macro


def expand(source: str, macros: Mapping[str, Macro]) -> str:
    """Return an expression with all macros in it put in place.

    Raises:
        MacroError: A macro is used with other arguments than it takes, or the outcome is too long.
    """
    tokens, out, at = list(_tokens(source)), list[str](), 0
    while at < len(tokens):
        kind, text, field = tokens[at]
        at += 1
        macro = macros.get(text) if kind == "name" and not field else None
        if macro is None:
            out.append(text)
            continue
        given: tuple[str, ...] = ()
        if at < len(tokens) and tokens[at][1] == "(":
            raw, at = _arguments(tokens, at, text)
            given = tuple(expand(item, macros) for item in raw)
        out.append(macro.filled(given))
        if sum(map(len, out)) > SOURCE_LIMIT:
            raise MacroError(f"with its macros longer than {SOURCE_LIMIT} characters")
    return "".join(out)


def expanded(document: Located) -> Located:
    """Return a scenario or a family of rules with the macros put into its conditions.

    What is wrong with the shape of the document is left to its model.

    Raises:
        ScenarioError: With every macro that cannot be used, by file and line.
    """
    data = document.data
    given = data.get("macros") if isinstance(data, dict) else None
    if not isinstance(given, dict) or not all(isinstance(item, str) for item in given.values()):
        return document
    found = list(defined(given))
    problems = [
        document.problem(("macros", key), str(error))
        for key, error in found
        if isinstance(error, MacroError)
    ]
    if problems:
        raise ScenarioError(problems)
    macros = {macro.name: macro for _, macro in found if isinstance(macro, Macro)}
    changed = copy.deepcopy(data)
    for holder, key, path in _conditions(changed):
        try:
            holder[key] = expand(holder[key], macros)
        except MacroError as error:
            problems.append(document.problem(path, f"{key}: {error}"))
    if problems:
        raise ScenarioError(problems)
    return Located(changed, document.places)


def _conditions(data: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, Path]]:
    """Yield every map that holds a condition, with its key and the path of the condition."""
    rules, score = data.get("rules"), data.get("score")
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        if isinstance(rule, dict) and isinstance(rule.get("when"), str):
            yield rule, "when", ("rules", index, "when")
    if isinstance(score, dict):
        for key in [key for key, value in score.items() if isinstance(value, str)]:
            yield score, key, ("score", key)


def _macro(key: str, source: str, known: Mapping[str, Macro]) -> Macro:
    head = _HEAD.fullmatch(key)
    if head is None:
        raise MacroError(f"{key!r}: a macro is called name or name(parameter, …), in small letters")
    name = head[1]
    parameters = tuple(item.strip() for item in head[2].split(",")) if head[2] else ()
    if name in known or name in _RESERVED:
        raise MacroError(f"the name {name!r} is taken")
    taken = set(parameters) & (_RESERVED | known.keys() | {name})
    if taken or len(set(parameters)) < len(parameters):
        raise MacroError(f"{key!r}: parameters need names of their own")
    if name in _names(source):
        raise MacroError(f"the macro {name!r} uses itself")
    return Macro(name, parameters, expand(source.strip(), known))


def _arguments(
    tokens: list[tuple[str, str, bool]], at: int, name: str
) -> tuple[tuple[str, ...], int]:
    """Return the arguments in the brackets that open at a token, and where they are over."""
    depth, parts = 0, [""]
    for index in range(at, len(tokens)):
        kind, text, _ = tokens[index]
        if kind == "sign" and text in _OPEN:
            depth += 1
            if depth == 1:
                continue
        elif kind == "sign" and text in _CLOSE:
            depth -= 1
            if depth == 0:
                return tuple(part.strip() for part in parts), index + 1
        elif text == "," and depth == 1:
            parts.append("")
            continue
        parts[-1] += text
    raise MacroError(f"the brackets behind the macro {name!r} do not close")


def _names(source: str) -> set[str]:
    return {text for kind, text, field in _tokens(source) if kind == "name" and not field}


def _tokens(source: str) -> Iterator[tuple[str, str, bool]]:
    """Yield kind and text of each token, and whether it is a field or method of what stands before."""
    before = ""
    for found in _TOKEN.finditer(source):
        kind = str(found.lastgroup)
        yield kind, found[0], before == "."
        if kind not in ("space", "comment"):
            before = found[0]
