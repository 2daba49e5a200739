"""The options of runs. Each is declared once: a field, its flag, its words beneath.

``sandbox run`` and the commands beside it, :func:`sandbox.run`, sweep files and the planner derive theirs
from here. Every command loads this module, so it imports next to nothing.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, get_args, get_origin, get_type_hints

from sandbox.choices import Escalation, Isolation, JudgeLang, ModeName
from sandbox.enums import Mode
from sandbox.errors import InputError, nearest

Texts = str | Sequence[str]
"""One text, or several."""


@dataclass(frozen=True)
class Flag:
    """How a field is written on the command line, and its smallest value."""

    name: str = ""
    """Instead of the field's own name."""
    short: str = ""
    metavar: str | None = None
    least: float | None = None
    repeat: bool = False
    """Whether several values are several flags; else one flag takes them with commas."""


_KINDS: dict[object, str] = {int: "a whole number", float: "a number", bool: "true or false"}


class Option(NamedTuple):
    """A field, as far as others derive from it."""

    name: str
    kind: object
    """Its type, without annotations."""
    flag: Flag
    about: str
    default: object
    """:data:`dataclasses.MISSING` if it must be given."""

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that it may have; empty if it is free."""
        kinds = (kind for kind in (self.kind, *get_args(self.kind)) if get_origin(kind) is Literal)
        return tuple(str(value) for kind in kinds for value in get_args(kind))

    def check(self, value: object) -> None:
        """Check a value.

        Raises:
            InputError: It is none of the choices, of another type, or too small.
        """
        if self.choices and value is not None and value not in self.choices:
            raise InputError(
                f"{self.name}: unknown value {value!r}{nearest(str(value), self.choices)}"
            )
        kinds = get_args(self.kind) or (self.kind,)
        if kinds[0] in _KINDS and not isinstance(value, (*kinds, int) if float in kinds else kinds):
            raise InputError(f"{self.name}: {value!r} is not {_KINDS[kinds[0]]}")
        least = self.flag.least
        if least is not None and isinstance(value, int | float) and value < least:
            raise InputError(f"{self.name}: {value:g} is less than {least:g}")


@dataclass(frozen=True, kw_only=True)
class Checked:
    """Options whose values are checked when they are made."""

    def __post_init__(self) -> None:
        for option in options(type(self)):
            option.check(getattr(self, option.name))


@dataclass(frozen=True, kw_only=True)
class Parameters(Checked):
    """What single runs may have otherwise than their scenario; a sweep has sets of them."""

    __pydantic_config__ = {"extra": "forbid", "use_attribute_docstrings": True}  # noqa: RUF012

    limits: Annotated[Mapping[str, float], Flag("limit", metavar="KEY=VALUE")] = field(
        default_factory=dict
    )
    """Limit (turns, seconds, …) instead of a scenario's; repeatable."""
    bounds: Annotated[Mapping[str, int | float | str], Flag("bound", metavar="KEY=VALUE")] = field(
        default_factory=dict
    )
    """Bound of the container (memory_bytes=1GiB, processes, …) instead of a scenario's; repeatable."""
    tool_lang: str | None = None
    """Language of tool descriptions; the run's if left out."""


@dataclass(frozen=True, kw_only=True)
class JudgeOptions(Checked):
    """Which models the judges among the monitors ask, and how."""

    judge_model: Annotated[Texts, Flag(metavar="MODEL", repeat=True)] = ()
    """Model that judges, in place of the judges' own; repeatable: an ensemble."""
    judge_cache: str | PathLike[str] | None = None
    """File of judges' answers: what it holds is not asked again."""
    judge_lang: JudgeLang | None = None
    """Language of judges' instructions, en or fr; the run's if left out."""


@dataclass(frozen=True, kw_only=True)
class WorkerOptions(Checked):
    """How many runs are executed at the same time, and where."""

    at_once: Annotated[int | None, Flag(short="-j", least=1)] = None
    """Runs at the same time; two for each processor and two more if left out."""
    processes: Annotated[int | None, Flag(least=1)] = None
    """Processes that share the runs; by runs and processors if left out."""


@dataclass(frozen=True, kw_only=True)
class RunOptions(Parameters, JudgeOptions, WorkerOptions):
    """How scenarios are run: what ``sandbox run`` and :func:`sandbox.run` take."""

    model: Annotated[Texts, Flag(short="-m", metavar="MODEL", repeat=True)]
    """provider/model, scripted/safe, cassette/FILE; repeatable."""
    agent: Annotated[Mapping[str, str], Flag(metavar="NAME=MODEL")] = field(default_factory=dict)
    """NAME=MODEL for one agent of a team; repeatable."""
    monitors: Annotated[Texts | None, Flag(metavar="NAMES")] = None
    """Monitor families, with commas; all, none, or scenario for those that each scenario names."""
    policy: Annotated[str | None, Flag(metavar="FILE")] = None
    """What follows from scores together: a name, FILE, or none."""
    scaffold: Annotated[str, Flag(metavar="NAME")] = "react"
    """What drives the model: react, plan, repeat_user_prompt, your graph as module:attribute, or your
    program as 'program:COMMAND'."""
    mode: Mode | ModeName = "observe"
    """observe, or enforce what monitors decide."""
    isolation: Isolation = "auto"
    """auto, docker, gvisor or bubblewrap."""
    image: str | None = None
    """Image of the Docker back end."""
    lang: Texts = "en"
    """Languages with commas, or 'all'; as far as a scenario has them."""
    repeat: Annotated[int, Flag(least=1)] = 1
    """Runs of each, with seeds counted up."""
    seed: int = 0
    """The first seed."""
    on_escalate: Escalation | None = None
    """ask, deny or allow; asks if a person is at the terminal."""
    record: Annotated[str | PathLike[str] | None, Flag(metavar="FILE")] = None
    """Write the model's replies to a cassette."""
    purpose: Annotated[str | None, Flag(metavar="TEXT")] = None
    """What the run is for, if personal data may be in it."""
    legal_basis: Annotated[str | None, Flag(metavar="TEXT")] = None
    """On what grounds it may."""
    retain: Annotated[float | None, Flag(metavar="DAYS", least=0)] = None
    """Days for which the run is kept."""


def texts(value: Texts | None, split: str = "") -> tuple[str, ...]:
    """Return one text or several as several.

    Args:
        value: The text or texts.
        split: What separates several within one text, if anything.
    """
    if not isinstance(value, str):
        return tuple(value or ())
    parts = value.split(split) if split else [value]
    return tuple(part.strip() for part in parts if part.strip())


def options(cls: type[Checked]) -> tuple[Option, ...]:
    """Return the options of a class, its own before those of its bases."""
    return _options(cls)  # type: ignore[arg-type] # a class can be hashed


@cache
def _options(cls: type[Checked]) -> tuple[Option, ...]:
    hints = get_type_hints(cls, include_extras=True)
    declared: dict[str, Field[object]] = cls.__dataclass_fields__
    found = []
    for owner in cls.__mro__:
        about = _words(owner) if issubclass(owner, Checked) else {}
        for name in about:
            hint = hints[name]
            kind, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
            flag = next((note for note in notes if isinstance(note, Flag)), Flag())
            make = declared[name].default_factory
            default = declared[name].default if make is MISSING else make()
            found.append(Option(name, kind, flag, about[name], default))
    return tuple(found)


def _words(cls: type) -> dict[str, str]:
    """Return field → the words beneath it, for the fields that a class itself declares."""
    body = _bodies(str(sys.modules[cls.__module__].__file__))[cls.__name__]
    words = {}
    for pair in zip(body, [*body[1:], None], strict=True):
        match pair:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                words[name] = inspect.cleandoc(text).replace("\n", " ")
            case ast.AnnAssign(target=ast.Name(name)), _:
                words[name] = ""
    return words


@cache
def _bodies(file: str) -> dict[str, list[ast.stmt]]:
    nodes = ast.parse(Path(file).read_text("utf-8")).body
    return {node.name: node.body for node in nodes if isinstance(node, ast.ClassDef)}
