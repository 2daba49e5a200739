"""Functions that take the fields of a class of options by name: declared once, checked by type checkers."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from sandbox.api.workspace import Workspace
from sandbox.errors import InputError, nearest
from sandbox.runs.options import Checked, options
from sandbox.trace.store import Store

P = ParamSpec("P")
Call = TypeVar("Call", bound=Checked)
Subject = TypeVar("Subject")
Result = TypeVar("Result")
Function = TypeVar("Function", bound=Callable[..., object])
Names = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""What is to be run: one or several of what stands on the command line."""


@dataclass(frozen=True, kw_only=True)
class Where(Checked):
    """Where content and runs are, and what is shown meanwhile."""

    store: Store | str | os.PathLike[str] | None = None
    """Path or URL, or an open store; SANDBOX_STORE, or runs/sandbox.db of the workspace if left out."""
    workspace: str | os.PathLike[str] | None = None
    """Folder; SANDBOX_WORKSPACE, or found from the current folder upwards if left out."""
    progress: bool | None = None
    """Whether stderr shows what goes on; if it is a terminal, if left out."""

    @property
    def quiet(self) -> bool:
        """Whether nothing is shown."""
        return not (sys.stderr.isatty() if self.progress is None else self.progress)

    @contextmanager
    def open(self, *, reading: bool = False) -> Iterator[tuple[Workspace, Store]]:
        """Give the workspace and its store, which is closed after it if it was not open before."""
        if isinstance(self.store, Store):
            yield Workspace.find(self.workspace, self.store.url), self.store
            return
        workspace = Workspace.find(self.workspace, self.store)
        with workspace.open_store(reading=reading) as store:
            yield workspace, store


def by_name(
    make: Callable[P, Call],
) -> Callable[[Callable[[Subject, Call], Result]], Callable[Concatenate[Subject, P], Result]]:
    """Let a function take the fields of a class of options by name.

    Args:
        make: The class. Its constructor's signature becomes the function's.
    """

    def decorate(
        function: Callable[[Subject, Call], Result],
    ) -> Callable[Concatenate[Subject, P], Result]:
        @wraps(function)
        def call(subject: Subject, /, *args: P.args, **named: P.kwargs) -> Result:
            return function(subject, options_of(make, *args, **named))

        return describe(call, make)

    return decorate


def options_of(make: Callable[P, Call], *args: P.args, **named: P.kwargs) -> Call:
    """Return options from what a caller gives by name.

    Raises:
        InputError: A name is unknown, one that is needed is missing, or a value does not fit.
    """
    known = {option.name: option for option in options(_class(make))}
    for name in named:
        if name not in known:
            raise InputError(f"unknown option {name!r}{nearest(name, known)}")
    for option in known.values():
        if option.default is MISSING and option.name not in named:
            raise InputError(f"the option {option.name!r} is missing; name it: {option.name}=…")
    return make(*args, **named)


def describe(function: Function, make: Callable[..., Checked]) -> Function:
    """Return a function with the signature and the words of the options that it takes by name."""
    own, declared = inspect.signature(function), options(_class(make))
    first = [each for each in own.parameters.values() if each.name not in ("call", "args", "named")]
    named = [
        inspect.Parameter(
            option.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if option.default is MISSING else option.default,
            annotation=option.kind,
        )
        for option in declared
    ]
    function.__signature__ = own.replace(parameters=[*first, *named])  # type: ignore[attr-defined]
    words = "".join(f"\n    {option.name}: {option.about}" for option in declared)
    function.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\nOptions:{words}\n"
    return function


def _class(make: Callable[..., Call]) -> type[Call]:
    assert isinstance(make, type)
    return make


def names(what: Names) -> list[str]:
    """Return one name or several as a list."""
    several = [what] if isinstance(what, str | os.PathLike) else what
    return [os.fspath(each) for each in several]
