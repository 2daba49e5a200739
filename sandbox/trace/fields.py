"""What the fields of events and effects are marked with, and data without the fields that bear a mark.

A field is ``name: Annotated[TYPE, "what it holds", MARK, …]`` in a ``TypedDict``. Documents, the JSON Schema and all
comparisons of runs are derived from that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache, partial
from types import UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from typing_extensions import get_type_hints, is_typeddict


class Mark(Enum):
    """What a field is, beside what it holds."""

    VOLATILE = "differs from one execution to the next"
    NAME = "a name that a model or the gate chose; what bears another name may be the same"
    INDEXED = "stands in the run's row too, by which runs are found"


VOLATILE, NAME, INDEXED = Mark
_Prune = Callable[[Any], Any]


@cache
def hints(kind: type) -> dict[str, object]:
    """Return the fields of a typed dict with their types, metadata included, in order."""
    qualifiers: tuple[object, ...] = (Required, NotRequired)
    return {
        name: get_args(hint)[0] if get_origin(hint) in qualifiers else hint
        for name, hint in get_type_hints(kind, include_extras=True).items()
    }


def metadata(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a field's type without what it is annotated with, and that."""
    return (hint.__origin__, hint.__metadata__) if get_origin(hint) is Annotated else (hint, ())


def names_with(kind: type, mark: Mark) -> tuple[str, ...]:
    """Return the names of the fields of a typed dict that bear a mark."""
    return tuple(name for name, hint in hints(kind).items() if mark in metadata(hint)[1])


@cache
def pruner(kind: Any, marks: frozenset[Mark]) -> _Prune | None:
    """Return what takes the fields that bear a mark out of data of a type, at any depth; None if there are none.

    Data that is not of the type is left as it is: another version may have written it.
    """
    plain, _ = metadata(kind)
    origin, inner = get_origin(plain), get_args(plain)
    if is_typeddict(plain):
        return _of_fields(plain, marks)
    if origin in (Union, UnionType):
        return _of_alternatives(inner, marks)
    take = pruner(inner[-1], marks) if origin in (list, dict) else None
    return None if take is None else partial(_each, take)


def _each(take: _Prune, data: Any) -> Any:
    if isinstance(data, dict):
        return {key: take(item) for key, item in data.items()}
    return [take(item) for item in data] if isinstance(data, list) else data


def _of_fields(kind: type, marks: frozenset[Mark]) -> _Prune | None:
    dropped = {name for name, hint in hints(kind).items() if marks & set(metadata(hint)[1])}
    inner = {name: take for name, hint in hints(kind).items() if (take := pruner(hint, marks))}
    if not dropped and not inner:
        return None

    def take_out(data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {
            name: inner[name](value) if name in inner else value
            for name, value in data.items()
            if name not in dropped
        }

    return take_out


def _of_alternatives(kinds: tuple[Any, ...], marks: frozenset[Mark]) -> _Prune | None:
    """Of several typed dicts, data is of the first whose fields with few values it agrees with."""
    known = [(_tags(kind), pruner(kind, marks)) for kind in kinds if is_typeddict(kind)]
    if not any(take for _, take in known):
        return None

    def take_out(data: Any) -> Any:
        for tags, take in known:
            if isinstance(data, dict) and all(data.get(name) in tags[name] for name in tags):
                return take(data) if take else data
        return data

    return take_out


def _tags(kind: Any) -> Mapping[str, tuple[Any, ...]]:
    plain = {name: metadata(hint)[0] for name, hint in hints(kind).items()}
    return {name: get_args(hint) for name, hint in plain.items() if get_origin(hint) is Literal}
