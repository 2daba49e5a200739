"""Conditions in CEL, the Common Expression Language (https://cel.dev): scorers and rules.

An expression is data, not host code: it cannot loop without bound, call out or change anything. A file
may give names to expressions (macros): one without parameters is a variable of the conditions beside it,
evaluated when it is first read; one with parameters is a function.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any
from weakref import WeakMethod

from sandbox import cel_cost
from sandbox.cel_cost import Cost, Variables
from sandbox.cel_scan import CallSite, sites
from sandbox.errors import InputError, nearest

Functions = Mapping[str, Callable[..., Any]]
Macros = tuple[tuple[str, str], ...]
"""``name`` or ``name(parameter, …)`` and the expression; one may use those before it."""

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
"""CEL's own functions."""
SOURCE_LIMIT = 8000
"""Characters of one expression; the parser's C stack does not stand chains many times as long."""
_PARTS_LIMIT = 1000
"""Loops and calls of macros in one condition, those within macros included."""
_DEPTH_LIMIT = 64
"""Macros within macros: each takes some of the C stack."""
_SIGNATURE = re.compile(r"([a-z][a-z0-9_]*)(?:\(\s*([a-z]\w*(?:\s*,\s*[a-z]\w*)*)\s*\))?")
_SIZED = re.compile(r"\s*\.\s*size\s*\(\s*\)")


class ExpressionError(InputError):
    """An expression that cannot be parsed, or that failed on the values it was given."""


@dataclass(frozen=True, eq=False)
class Expression:
    """A parsed expression, a condition or the body of a macro."""

    source: str
    variables: frozenset[str]
    """Names of the top-level variables that it reads, by itself or by its macros."""
    functions: frozenset[str]
    """Names of the functions that it calls, CEL's own aside."""
    macros: Macros
    """Those that it may use; none if it uses none."""
    dependencies: tuple[Macro, ...]
    """Those that it uses, by itself or by its macros."""
    cost: Cost
    """Of itself; macros that are variables are evaluated once, whoever reads them."""
    program: Any

    @cached_property
    def _whole_cost(self) -> Cost:
        return sum((m.expression.cost for m in self.dependencies if not m.parameters), self.cost)

    @property
    def may_last(self) -> bool:
        """Whether its time depends on what it reads, beyond a moment for a long text."""
        return self._whole_cost.may_last

    def is_light(self, variables: Variables) -> bool:
        """Return whether it is sure to be evaluated within a moment.

        Args:
            variables: Those that it reads; what is in them may be the agent's.
        """
        if not self.may_last:
            return True
        return self._whole_cost.microseconds(variables) <= cel_cost.LIGHT_MICROSECONDS

    def holds(self, variables: Variables, functions: Functions) -> bool:
        """Return whether the condition is true of the variables.

        Raises:
            ExpressionError: A key is missing, types do not fit, or the value is not a boolean.
        """
        return self.holds_in(Activation(variables, functions, self.macros))

    def holds_in(self, activation: Activation) -> bool:
        """Return whether the condition is true in an activation.

        Raises:
            ExpressionError: As for :meth:`holds`.
        """
        value = activation.evaluate(self)
        if not isinstance(value, bool):
            raise ExpressionError(f"not true or false but {type(value).__name__}: {self.source}")
        return value


@dataclass(frozen=True, eq=False)
class Macro:
    """An expression with a name."""

    name: str
    parameters: tuple[str, ...]
    expression: Expression
    depth: int
    """How deep macros stand within it, itself included."""


class Activation:
    """The variables and functions that expressions of one file are evaluated with: they are converted once.

    The collector does not see into the library's contexts (Rust): they call back by a weak reference, or
    nothing of a run would ever be freed.
    """

    def __init__(self, variables: Variables, functions: Functions, macros: Macros = ()) -> None:
        """Make an activation.

        Args:
            variables: Name → value.
            functions: Name → function.
            macros: What stands in the file under ``macros``.
        """
        self._variables, self._macros = variables, dict[str, Macros]()
        calls: dict[str, Callable[..., Any]] = {}
        for number, (key, _) in enumerate(macros, start=1):
            name, parameters = signature(key)
            self._macros[name] = macros[:number]
            if parameters:
                calls[name] = _weak(self._call, name)
        self._functions = {**functions, **calls}
        self._contexts: dict[str, Any] = {}
        self._values: dict[str, Any] = {}
        self._errors: dict[str, ExpressionError] = {}

    def evaluate(self, expression: Expression) -> Any:
        """Return the value of an expression.

        Raises:
            ExpressionError: A key is missing, or types do not fit.
        """
        return self._evaluate(expression, self._context("", self._variables))

    def _evaluate(self, expression: Expression, context: Any) -> Any:
        known = 0
        while True:
            try:
                return expression.program.execute(context)
            except KeyError as error:
                failure = ExpressionError(f"no such key {error} in: {expression.source}")
            except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as error:
                of_macro = (e for name, e in self._errors.items() if f"'{name}'" in str(error))
                failure = next(of_macro, ExpressionError(f"{error} in: {expression.source}"))
            nulls = [name for name, value in self._values.items() if value is None]
            if len(nulls) == known:
                raise failure
            known = len(nulls)
            for name in nulls:  # null from a resolver says that there is no such name
                context.add_variable(name, None)

    def _context(self, name: str, variables: Iterable[str]) -> Any:
        """Return what an expression is evaluated in: a condition (no name), or a macro."""
        if name not in self._contexts:
            read = {key: self._variables[key] for key in variables if key in self._variables}
            self._contexts[name] = _context(read, self._functions)
            if self._macros:
                self._contexts[name].set_variable_resolver(_weak(self._resolve))
        return self._contexts[name]

    def _resolve(self, name: str) -> Any:
        """Return the value of a macro that is read as a variable; None for other names, and if it fails.

        A failure is one only if the expression does not do without: the name is then unknown to it.
        """
        if name not in self._macros or name in self._errors:
            return None
        if name not in self._values:
            try:
                self._values[name] = self._macro_value(name)
            except ExpressionError as error:
                self._errors[name] = error
        return self._values.get(name)

    def _call(self, name: str, *arguments: Any) -> Any:
        """Return the value of a macro with parameters."""
        try:
            return self._macro_value(name, *arguments)
        except ExpressionError as error:
            self._errors[name] = error
            raise

    def _macro_value(self, name: str, *arguments: Any) -> Any:
        macro = parse_macro(self._macros[name])
        context = self._context(name, macro.expression.variables)
        for parameter, value in zip(macro.parameters, arguments, strict=True):
            context.add_variable(parameter, value)
        try:
            return self._evaluate(macro.expression, context)
        except ExpressionError as error:
            raise ExpressionError(f"in the macro {name!r}: {error}") from error


@lru_cache(maxsize=4096)
def parse(
    source: str, variables: frozenset[str], functions: frozenset[str], macros: Macros = ()
) -> Expression:
    """Parse a condition and check the names in it.

    Args:
        source: The expression.
        variables: The variables that will exist.
        functions: The functions that will exist, beside CEL's own.
        macros: What stands in its file under ``macros``.

    Raises:
        ExpressionError: It is not CEL, or it uses a name that will not exist.
    """
    expression = _expression(source, macros)
    for macro in expression.dependencies:
        where = f" in the macro {macro.name!r}, which is given in brackets what a loop binds"
        _check("variable", macro.expression.variables, variables, where)
    _check("variable", expression.variables, variables)
    _check("function", expression.functions, functions)
    return expression


@lru_cache(maxsize=4096)
def parse_macro(macros: Macros) -> Macro:
    """Parse the last of some macros, which may use those before it; names are checked where it is used.

    Raises:
        ExpressionError: It is not CEL, or not called as a macro can be.
    """
    key, source = macros[-1]
    name, parameters = signature(key)
    expression = _expression(source.strip(), macros[:-1], parameters)
    if name in expression.variables | expression.functions:
        raise ExpressionError(f"the macro {name!r} uses itself")
    depth = 1 + max((macro.depth for macro in expression.dependencies), default=0)
    if depth > _DEPTH_LIMIT:
        raise ExpressionError(f"the macro {name!r} has more than {_DEPTH_LIMIT} others within it")
    return Macro(name, parameters, expression, depth)


def signature(key: str) -> tuple[str, tuple[str, ...]]:
    """Return name and parameters of a macro.

    Raises:
        ExpressionError: They are not written as they should.
    """
    found = _SIGNATURE.fullmatch(key)
    if found is None:
        raise ExpressionError(
            f"{key!r}: a macro is called name or name(parameter, …), in small letters"
        )
    return found[1], tuple(item.strip() for item in found[2].split(",")) if found[2] else ()


def _expression(source: str, macros: Macros, parameters: tuple[str, ...] = ()) -> Expression:
    if len(source) > SOURCE_LIMIT:
        raise ExpressionError(f"longer than {SOURCE_LIMIT} characters: {source[:60]}…")
    program = _compiled(source)
    found = sites(source)
    bound = {next(iter(site.arguments), "") for site in found if site.is_loop}
    read = set(program.variables()) - bound - {*parameters}
    called = {name for name in program.functions() if name.isidentifier()} - STANDARD
    own = {
        macro.name: macro
        for number, (key, _) in enumerate(macros, start=1)
        if key.partition("(")[0].strip() in read | called
        for macro in [parse_macro(macros[:number])]
    }
    cost = cel_cost.of_source(source, found)
    for site in (site for site in found if site.name in own):
        macro = own[site.name]
        _check_call(macro, len(site.arguments) + (site.target is not None))
        cost += cel_cost.of_call(site, macro.parameters, macro.expression.cost)
        if len(cost.chains) > _PARTS_LIMIT:
            raise ExpressionError(
                f"more than {_PARTS_LIMIT} loops and calls, those in macros included"
            )
    for name in own.keys() & read:
        _check_call(own[name], 0)
    used = dict.fromkeys(
        each for macro in own.values() for each in (*macro.expression.dependencies, macro)
    )
    counting = _counting(source, found)
    return Expression(
        source,
        frozenset(read - own.keys()).union(*(m.expression.variables for m in own.values())),
        frozenset(called - own.keys()).union(*(m.expression.functions for m in own.values())),
        macros if own else (),
        tuple(used),
        cost,
        program if counting == source else _compiled(counting),
    )


def _check_call(macro: Macro, number: int) -> None:
    if number != len(macro.parameters):
        takes = f"({', '.join(macro.parameters)})" if macro.parameters else "no brackets"
        raise ExpressionError(f"the macro {macro.name!r} takes {takes}")


def _counting(source: str, calls: Iterable[CallSite]) -> str:
    """Return an expression in which what is only counted is not collected.

    ``l.filter(x, p).size()`` copies all that it has found at each addition: 7.7 s for 3,000 effects that
    fit. ``l.map(x, p, null).size()`` is as many, evaluates the same, fails the same, and takes 0.03 s.
    """
    edits: list[tuple[int, int, str]] = []
    for site in calls:
        if site.is_loop and site.name == "filter" and _is_counted(source, site):
            edits += [
                (site.at, site.at + len("filter"), "map"),
                (site.edges[-1], site.edges[-1], ", null"),
            ]
    for start, end, text in sorted(edits, reverse=True):
        source = source[:start] + text + source[end:]
    return source


def _is_counted(source: str, site: CallSite) -> bool:
    """Return whether of the list that a loop makes nothing but the size is asked."""
    if _SIZED.match(source, site.edges[-1] + 1):
        return True
    outer, whole = site.outer, source[site.begin : site.edges[-1] + 1]
    return bool(site.target and outer and outer.name == "size" and outer.arguments == [whole])


def _check(what: str, names: Iterable[str], allowed: frozenset[str], where: str = "") -> None:
    for name in sorted(names):
        if name not in allowed and not name.startswith(("_", "@")):
            raise ExpressionError(f"unknown {what} {name!r}{where}{nearest(name, allowed)}")


@cache
def _library() -> Any:
    """Return the CEL library, loaded when it is first needed; what it warns of is raised as well."""
    import cel

    logging.getLogger("cel").disabled = True
    return cel


def _compiled(source: str) -> Any:
    try:
        return _library().compile(source)
    except ValueError as error:
        raise ExpressionError(_syntax(str(error))) from error


def _context(variables: Variables, functions: Functions) -> Any:
    """Return a context of the library.

    Texts that are not Unicode, such as half a surrogate pair in a model's JSON, show it escaped:
    no agent keeps itself from being judged by writing one.
    """
    try:
        return _library().Context(variables=dict(variables), functions=dict(functions))
    except ValueError:
        return _library().Context(variables=_encodable(variables), functions=dict(functions))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(item) for item in value]
    return value


def _weak(method: Callable[..., Any], *first: Any) -> Callable[..., Any]:
    """Return a function that calls a method of an object without holding the object."""
    reference = WeakMethod(method)

    def call(*arguments: Any) -> Any:
        found = reference()
        assert found is not None  # who evaluates an expression holds its scope
        return found(*first, *arguments)

    return call


def _syntax(message: str) -> str:
    found = re.search(r"ERROR: <input>:\d+:(\d+): (.*)", message)
    if not found:
        return f"not a CEL expression: {message.splitlines()[0]}"
    return f"not a CEL expression: at character {found[1]}: {found[2].split(', expecting')[0]}"
