"""Typer's options of a command, derived from the fields of a class of options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING
from functools import wraps
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import Annotated, get_args, get_origin

import typer

from sandbox.errors import InputError
from sandbox.runs.options import Checked, Option, options

Command = Callable[..., None]


def takes(
    kind: type[Checked],
    *,
    only: Collection[str] = (),
    without: Collection[str] = (),
    about: Mapping[str, str] | None = None,
    defaults: Mapping[str, object] | None = None,
    changes: bool = False,
) -> Callable[[Command], Command]:
    """Let a command take a class of options; its parameter ``options`` gets them.

    Args:
        kind: The class.
        only: These fields alone, if there are any here.
        without: Fields that the command does not take.
        about: Field → words instead of those beneath it.
        defaults: Field → default instead of its own.
        changes: Whether all may be left out; the command then gets those that were given, as a mapping.
    """
    known = (option for option in options(kind) if not only or option.name in only)
    chosen = [option for option in known if option.name not in without]
    words, values = about or {}, dict(defaults or {})
    parameters = [
        _parameter(
            option._replace(
                about=words.get(option.name, option.about),
                default=values.get(option.name, option.default),
            ),
            changes=changes,
        )
        for option in chosen
    ]

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        merged: list[inspect.Parameter] = []
        for own in signature.parameters.values():
            merged += parameters if own.name == "options" else [own]
        merged = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in merged]

        @wraps(command)
        def call(**values: object) -> None:
            fields = {option.name: _value(option, values.pop(option.name)) for option in chosen}
            changed = {name: v for name, v in fields.items() if v not in (None, (), {})}
            command(**values, options=changed if changes else kind(**fields))

        call.__signature__ = signature.replace(parameters=merged)  # type: ignore[attr-defined]
        call.__annotations__ = {each.name: each.annotation for each in merged}
        return call

    return decorate


def _parameter(option: Option, *, changes: bool) -> inspect.Parameter:
    """Return an option as Typer's parameter."""
    flag = option.flag
    long = f"--{flag.name or option.name.replace('_', '-')}"
    info = typer.Option(
        *(long, flag.short) if flag.short else (long,),
        help=option.about,
        metavar=flag.metavar,
        min=flag.least,
    )
    required = option.default is MISSING and not changes
    default = None if changes else option.default
    if _is_many(option) and not required and not changes:
        default = [option.default] if isinstance(option.default, str) else None
    kind = _kind(option) if required else _kind(option) | None  # type: ignore[operator]
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required else default,
        annotation=Annotated[kind, info],
    )


def _is_many(option: Option) -> bool:
    return option.flag.repeat or get_origin(option.kind) is Mapping


def _kind(option: Option) -> object:
    """Return the type as which Typer reads a value."""
    kinds = {option.kind, *get_args(option.kind)}
    if _is_many(option):
        return list[str]
    if any(get_origin(kind) is PathLike for kind in kinds):
        return Path
    return next((kind for kind in (bool, int, float) if kind in kinds), str)


def _value(option: Option, value: object) -> object:
    """Return the value of a field from what stands on the command line."""
    if not _is_many(option):
        return value
    words = list(value) if isinstance(value, Sequence) else []
    if get_origin(option.kind) is not Mapping:
        return tuple(words)
    return pairs(f"--{option.flag.name or option.name}", words, get_args(option.kind)[1])


def pairs(flag: str, words: Sequence[str], kind: object) -> dict[str, float | str]:
    """Return name → value from texts such as ``turns=5``.

    Args:
        flag: What they stand behind.
        words: The texts.
        kind: Type of the values: ``float``, ``str``, or both.

    Raises:
        InputError: One of them is not of this form, or stands twice.
    """
    values: dict[str, float | str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if name in values:
            raise InputError(f"{flag}: {name} stands twice")
        number = None if kind is str else _number(value)
        if not equals or not value or (kind is float and number is None):
            raise InputError(
                f"{flag}: write KEY={'NUMBER' if kind is float else 'VALUE'}, not {word!r}"
            )
        values[name] = value if number is None else number
    return values


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    if not isfinite(value):
        return None
    return int(value) if value.is_integer() else value
