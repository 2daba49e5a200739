"""All texts of a run before a step, indexed by their words: a value is found in time of its own length.

A text is taken in once, in time linear in its length. Words are compared in the form of
:mod:`sandbox.detectors.provenance.words`, so letter case, white space, quoting, punctuation and
lookalike letters do not matter. What a text holds encoded (base64, hex, URL, entities, escapes …) is
taken in as well, as a further form of the same source; identifiers that are written in groups
(``FR76 3000 6000``) also as one word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sandbox.detectors.decoded_layers import decode_layers_uncached
from sandbox.detectors.decoding import readable
from sandbox.detectors.provenance.words import fold, words

Form = Literal["plain", "encoded", "joined"]
Kind = Literal["system", "user", "assistant", "result"]

LONGEST = 64 * 1024
"""Characters of one text that are taken in; ``complete`` says where there was more."""
_POSTINGS = 256
"""Places of one word that are looked at for one value: the rarest word of a value leads."""
_GRAM = 6
"""Letters and digits of an identifier by which pieces of it are found."""
_CODED = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}|(?:[0-9a-fA-F]{2}[ :]){7,}")
"""What may be base64, base32 or hex."""
_ESCAPED = re.compile(
    r"(?:(?:%[0-9A-Fa-f]{2}|&#?\w{2,8};|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2})[^%&\\\s]{0,20}){3,}"
)
"""Several escapes close to each other."""
_ORDINARY = re.compile(r"[A-Za-z]?[a-z]+|[A-Z]+|[\d_/-]{1,19}|(?:[a-zA-Z]+[-_/])+[a-zA-Z]+")
"""A long word, a number or a path: encodes nothing."""
_GROUPED = re.compile(
    r"(?<![0-9A-Za-z])(?=[A-Za-z]{0,4}\d)[0-9A-Za-z]{1,6}(?:[ .\u00a0-](?=[A-Za-z]{0,4}\d)[0-9A-Za-z]{1,6}){2,}(?![0-9A-Za-z])"
)
_IDENTIFIER = re.compile(r"(?=[a-z]*\d)[0-9a-z]{8,}")


@dataclass(frozen=True)
class TextSource:
    """One earlier text."""

    number: int
    """Position in the run, from 0."""
    kind: Kind
    agent: str
    tool: str = ""
    """Of a result: the tool that gave it."""
    labels: tuple[str, ...] = ()
    """Of a result: the labels of its tool."""

    @property
    def trusted(self) -> bool:
        """Whether a principal wrote it: the operator or the user."""
        return self.kind in ("system", "user")


@dataclass(frozen=True)
class TextMatch:
    """A source that holds a value."""

    source: TextSource
    form: Form


class TextIndex:
    """The texts of one run so far."""

    def __init__(self) -> None:
        self.sources: list[TextSource] = []
        self._texts: list[tuple[int, Form, list[str]]] = []
        self._places: dict[str, list[tuple[int, int]]] = {}
        self._grams: dict[str, list[tuple[str, int]]] = {}
        self.complete = True
        """False where a text was longer than is taken in."""

    def add(
        self, kind: Kind, agent: str, text: str, tool: str = "", labels: tuple[str, ...] = ()
    ) -> TextSource:
        """Take in a text and return it as a source."""
        source = TextSource(len(self.sources), kind, agent, tool, labels)
        self.sources.append(source)
        if len(text) > LONGEST:
            self.complete = False
            text = text[:LONGEST]
        self._index(source.number, "plain", words(text))
        for word in join_groups(text).split():
            self._index(source.number, "joined", [word])
        for layer in decode_encodings(text):
            self._index(source.number, "encoded", words(layer))
        return source

    def find(self, value: Sequence[str], before: int | None = None) -> list[TextMatch]:
        """Return the sources that hold these words one after the other, in order, each once.

        Args:
            value: The words, as :func:`sandbox.detectors.provenance.words.words` gives them.
            before: Only sources with smaller numbers.
        """
        found: dict[int, Form] = {}
        for text, at in self._matches(value):
            number, form, held = self._texts[text]
            if number in found and (form != "plain" or found[number] == "plain"):
                continue
            if (before is None or number < before) and held[at : at + len(value)] == list(value):
                found[number] = form
        return [TextMatch(self.sources[number], found[number]) for number in sorted(found)]

    def longest(
        self, value: Sequence[str], start: int, before: int | None = None
    ) -> tuple[int, int]:
        """Return how many words from ``start`` on one source holds in a row, and its number.

        The earliest source with the longest run; 0 and -1 where none holds the first word.
        """
        best, owner = 0, -1
        for text, at in self._places.get(value[start], ())[:_POSTINGS]:
            number, _, held = self._texts[text]
            if before is not None and number >= before:
                continue
            length = 1
            while (
                start + length < len(value)
                and at + length < len(held)
                and held[at + length] == value[start + length]
            ):
                length += 1
            if length > best:
                best, owner = length, number
        return best, owner

    def piece(self, word: str, before: int | None = None) -> TextSource | None:
        """Return the first source with an identifier of which this word is a piece."""
        if len(word) < _GRAM:
            return None
        for identifier, number in self._grams.get(word[:_GRAM], ()):
            if word in identifier and (before is None or number < before):
                return self.sources[number]
        return None

    def _matches(self, value: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Yield text and place of where a value may begin, by its rarest word."""
        if not value:
            return
        places = [self._places.get(word) for word in value]
        if any(found is None for found in places):
            return
        lead = min(range(len(value)), key=lambda index: len(places[index] or ()))
        for text, at in (places[lead] or ())[:_POSTINGS]:
            if at >= lead:
                yield text, at - lead

    def _index(self, number: int, form: Form, held: list[str]) -> None:
        text = len(self._texts)
        self._texts.append((number, form, held))
        for at, word in enumerate(held):
            self._places.setdefault(word, []).append((text, at))
            if len(word) >= 2 * _GRAM - 4 and _IDENTIFIER.fullmatch(word):
                self._pieces(word, number)

    def _pieces(self, word: str, number: int) -> None:
        """Note every piece of an identifier; of a very long one only what bounds the work."""
        for at in range(min(len(word), 128) - _GRAM + 1):
            known = self._grams.setdefault(word[at : at + _GRAM], [])
            if len(known) < 16:
                known.append((word, number))


def join_groups(text: str) -> str:
    """Return the identifiers that a text writes in groups, each as one word, a blank between them."""
    return " ".join("".join(words(found[0])) for found in _GROUPED.finditer(text))


def decode_encodings(text: str) -> list[str]:
    """Return what a text holds encoded, as texts; nothing where nothing in it looks encoded."""
    runs = [found[0] for found in _CODED.finditer(text) if not _ORDINARY.fullmatch(found[0])]
    layers = list(decode_layers_uncached("\n".join(runs[:64])).layers[1:]) if runs else []
    layers += decode_layers_uncached(text).layers[1:] if _ESCAPED.search(text) else ()
    plain = fold(text)
    parts = [" ".join(run.decode() for run in readable(layer, 5)) for layer in layers]
    return [part for part in dict.fromkeys(parts) if part and fold(part) not in plain]
