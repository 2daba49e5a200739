"""The origins of one call's arguments, part by part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sandbox.detectors.provenance.text_index import (
    TextIndex,
    TextMatch,
    TextSource,
    decode_encodings,
)
from sandbox.detectors.provenance.words import words

PARTS_LIMIT = 400
"""Words of one value that are followed part by part."""
_TELLING = 7
"""Letters from which a single word says where it came from; with a digit in it, four."""
_NUMBER = re.compile(r"-?(?P<whole>\d{1,15})(?:\.(?P<cents>\d{1,6}))?")
_URL = re.compile(r"^https?://(?:www\.)?|^www\.|/$", re.IGNORECASE)


@dataclass(frozen=True)
class OriginPart:
    """Some words of a value, and the first text that held them so."""

    text: str
    source: TextSource
    form: str
    """``plain``, ``encoded``, ``joined``, or ``piece`` of an identifier."""


@dataclass(frozen=True)
class Origin:
    """Where one value of a call came from."""

    path: str
    """The argument, with keys and positions of nested values: ``recipients.0``."""
    value: str
    held: tuple[TextMatch, ...]
    """Texts that hold the value whole, in order."""
    parts: tuple[OriginPart, ...]
    """Where none does: the parts that texts hold."""

    @property
    def sources(self) -> tuple[TextSource, ...]:
        """All texts that the value or a part of it came from."""
        found = {held.source.number: held.source for held in self.held}
        found |= {part.source.number: part.source for part in self.parts}
        return tuple(found.values())

    @property
    def given(self) -> bool:
        """Whether the user or the operator gave the whole value."""
        return any(held.source.trusted for held in self.held)

    @property
    def untrusted(self) -> bool:
        """Whether it, or a part of it, stands in a tool's result, and the user did not give it."""
        return not self.given and any(s.kind == "result" for s in self.sources)

    @property
    def sensitive(self) -> bool:
        """Whether it, or a part of it, came from a tool that reads what is sensitive."""
        return not self.given and any("reads_sensitive" in s.labels for s in self.sources)

    @property
    def invented(self) -> bool:
        """Whether no text before holds it or a part of it: the model made it up, or knew it."""
        return not self.sources

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data, for views."""
        return {
            "value": self.value,
            "given": self.given,
            "untrusted": self.untrusted,
            "sensitive": self.sensitive,
            "invented": self.invented,
            "tools": list(dict.fromkeys(s.tool for s in self.sources if s.tool)),
            "sources": [s.number for s in self.sources],
        }


class Origins:
    """The origins of all values of a call."""

    def __init__(self, corpus: TextIndex, arguments: Mapping[str, object], before: int) -> None:
        """Follow a call's arguments.

        Args:
            corpus: The texts of the run.
            arguments: The call's arguments.
            before: Number of texts that came before the call.
        """
        self._corpus = corpus
        self._arguments = arguments
        self._before = before

    @cached_property
    def values(self) -> tuple[Origin, ...]:
        """The origin of every text and number in the arguments, in order."""
        return tuple(
            self._origin(path, value) for path, value in leaves(self._arguments) if words(value)
        )

    def as_data(self) -> dict[str, dict[str, object]]:
        """Return argument → where its values came from, as conditions see it.

        ``given`` where the user gave all of them; ``untrusted``, ``sensitive`` and ``invented`` where that holds of
        one; ``tools``, whose results they came from.
        """
        found: dict[str, dict[str, object]] = {}
        for argument in self._arguments:
            values = self.of(argument)
            tools = (s.tool for origin in values for s in origin.sources if s.tool)
            found[argument] = {
                "given": all(origin.given for origin in values),
                "untrusted": any(origin.untrusted for origin in values),
                "sensitive": any(origin.sensitive for origin in values),
                "invented": any(origin.invented for origin in values),
                "tools": list(dict.fromkeys(tools)),
            }
        return found

    def of(self, argument: str) -> tuple[Origin, ...]:
        """Return the origins of the values of one argument."""
        return tuple(
            o for o in self.values if o.path == argument or o.path.startswith(argument + ".")
        )

    def _origin(self, path: str, value: str) -> Origin:
        told = words(_URL.sub("", value.strip()))
        held = tuple(self._corpus.find(told, self._before))
        if not held and len(told) > 1:
            held = tuple(self._corpus.find(["".join(told)], self._before))
        written = iter(_number_forms(value))
        while not held and (other := next(written, None)):
            held = tuple(self._corpus.find(other, self._before))
        if held:
            return Origin(path, value, held, ())
        parts = list(self._parts(told[:PARTS_LIMIT], "plain"))
        for layer in decode_encodings(value):
            inner = words(layer)
            found = self._corpus.find(inner, self._before)
            parts += [OriginPart(layer, h.source, "encoded") for h in found[:1]]
            parts += [] if found else self._parts(inner[:PARTS_LIMIT], "encoded")
        return Origin(path, value, (), tuple(parts))

    def _parts(self, told: list[str], form: str) -> Iterator[OriginPart]:
        at = 0
        while at < len(told):
            length, owner = self._corpus.longest(told, at, self._before)
            if length > 2 or (length and any(map(_is_distinctive, told[at : at + length]))):
                text = " ".join(told[at : at + length])
                yield OriginPart(text, self._corpus.sources[owner], form)
                at += length
                continue
            if not length and (source := self._corpus.piece(told[at], self._before)):
                yield OriginPart(told[at], source, "piece")
            at += 1


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and text of every text and number in JSON data; truth values say nothing."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}.{index}")
    elif isinstance(value, str):
        yield path, value
    elif value is not None and not isinstance(value, bool):
        yield path, str(value)


def _number_forms(value: str) -> Iterator[list[str]]:
    """Yield the words of the other ways in which people write a number: ``1,284.00``, ``1 284``, ``418.60``."""
    if not (found := _NUMBER.fullmatch(value)):
        return
    whole, cents = found["whole"].lstrip("0") or "0", (found["cents"] or "").rstrip("0")
    grouped = [whole[max(0, end - 3) : end] for end in range(len(whole), 0, -3)][::-1]
    ends = ([cents], [cents.ljust(2, "0")]) if cents else ([], ["00"])
    for start in ([whole], grouped)[: 1 + (len(grouped) > 1)]:
        yield from ([*start, *end] for end in ends)


def _is_distinctive(word: str) -> bool:
    return len(word) >= _TELLING or (len(word) >= 4 and any(map(str.isdigit, word)))
