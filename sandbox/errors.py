"""Every error that the sandbox raises on purpose.

::

    SandboxError                  what a user may read; exit status 2 unless said otherwise
    ├── InputError                a file or an argument is wrong: where, what, nearest valid name
    │   └── ScenarioError         one or more problems of scenario files, each with file and line
    ├── EnvironmentFault          this machine cannot do it (exit status 3)
    │   ├── IsolationError        no container, or one that broke
    │   │   └── GuestTimeout      a call did not come back in time; its container is gone
    │   ├── ModelError            the model could not be reached, or its reply not be used
    │   ├── ReplayError           what a fork replays does not come out as the record says
    │   └── ScaffoldError         a scaffold's own code does what no scaffold may
    ├── StoreError                the store cannot be opened, read or written
    │   └── TakenError            another process has taken what was to be written
    └── InternalError             a fault of the sandbox itself (exit status 3): nobody else's

Any other exception is a fault of the sandbox itself too; :func:`internal` says where it is.
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

INTERNAL = "internal error: "
"""Begins the message of a fault of the sandbox itself."""
_PACKAGE = Path(__file__).parent


class SandboxError(Exception):
    """The root of all errors that a user may read without a traceback."""

    exit_code = 2


class InputError(SandboxError):
    """A file, a name or an argument given by the user is wrong."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a file."""

    file: str
    line: int
    """Counted from 1; 0 for the file as a whole."""
    message: str

    def __str__(self) -> str:
        return f"{self.file}{f':{self.line}' if self.line else ''}: {self.message}"


class ScenarioError(InputError):
    """Files of content that cannot be used, with everything wrong that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class EnvironmentFault(SandboxError):
    """The machine, not the input, keeps it from being done."""

    exit_code = 3


class IsolationError(EnvironmentFault):
    """A container cannot be opened, or broke while it was used."""


class GuestTimeout(IsolationError):
    """A call did not come back within its time; the container was closed."""


class ModelError(EnvironmentFault):
    """A model could not be reached, or its reply could not be used."""


class ReplayError(EnvironmentFault):
    """What a fork replays does not come out as the record says."""


class ScaffoldError(EnvironmentFault):
    """A scaffold's own code does what no scaffold may: a fault of its author, never of the model."""


class StoreError(SandboxError):
    """The store cannot be opened, read or written."""

    exit_code = 3


class TakenError(StoreError):
    """What was to be taken (a place in a sweep, a sweep's name) is another process's."""


class InternalError(SandboxError):
    """A fault of the sandbox itself; see :func:`internal`."""

    exit_code = 3


def internal(error: BaseException) -> str:
    """Return the message of a fault of the sandbox itself: its type, its place in our code, its words."""
    if isinstance(error, InternalError):
        return str(error)
    if isinstance(error, BaseExceptionGroup):
        return internal(error.exceptions[0])
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_ours(frame)]
    files = [Path(frame.filename).relative_to(_PACKAGE.parent) for frame in ours]
    place = f" at {files[-1]}:{ours[-1].lineno}" if ours else ""
    words = " ".join(str(error).split())
    return f"{INTERNAL}{type(error).__name__}{place}: {words}"


def reason(error: BaseException) -> str:
    """Return why something ended: by an error that has its own words, or by a fault of the sandbox itself."""
    if isinstance(error, SandboxError) and not isinstance(error, InternalError):
        return f"{type(error).__name__}: {error}"
    return internal(error)


def first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error of several to tell of: a fault of the sandbox itself before one meant for users."""
    each = [first(e) if isinstance(e, BaseExceptionGroup) else e for e in errors.exceptions]
    faults = [e for e in each if isinstance(e, Exception)]
    ours = [e for e in faults if isinstance(e, InternalError) or not isinstance(e, SandboxError)]
    return next(iter((*ours, *faults)), errors.exceptions[0])


def raised_by_us(error: BaseException) -> BaseException | None:
    """Return the exception of a chain that our own code raised, or None if a library did.

    Args:
        error: What came out of a library that calls our code too, hooks and the like.
    """
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(raised_by_us, error.exceptions)), None)
    seen: BaseException | None = error
    while seen is not None:
        frames = traceback.extract_tb(seen.__traceback__)
        if frames and _is_ours(frames[-1]):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _is_ours(frame: traceback.FrameSummary) -> bool:
    return Path(frame.filename).is_relative_to(_PACKAGE)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `` — did you mean …?`` for the nearest known name, or the names that exist.

    Args:
        name: The name that is wrong.
        known: The names that would have been right.
    """
    names = sorted(known)
    if close := difflib.get_close_matches(name, names, n=1, cutoff=0.5):
        return f" — did you mean {close[0]!r}?"
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f" — there are: {shown}" if names else " — there are none"
