"""Finding personal data in a text: accounts, national numbers, companies, telephones, addresses, names.

What has check digits is checked by them (python-stdnum, phonenumbers), so that few other numbers are
taken for one. Names are found where they are listed: no model guesses them. All patterns are bounded:
the time is linear in the length of the text, whoever wrote it.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

Kind = Literal["iban", "nir", "siret", "phone", "mail", "name"]
REGION = "FR"
"""Where telephone numbers without a country code are: ten digits in pairs."""

# A text may be JSON within JSON: an escape before a number is no part of a word.
_START = r"(?:(?<![^\W_])|(?<=\\[nrtbf]))"
_END = r"(?![^\W_])"
_GAP = r"[\u00a0 .-]?"
_IBAN = re.compile(rf"{_START}[A-Za-z]{{2}}\d{{2}}(?:[\u00a0 -]?[A-Za-z0-9]){{11,30}}")
_NIR = re.compile(
    rf"{_START}[1-8]{_GAP}\d{{2}}{_GAP}\d{{2}}{_GAP}(?:\d{{2}}|2[ABab]){_GAP}\d{{3}}{_GAP}\d{{3}}{_GAP}\d{{2}}{_END}"
)
_SIRET = re.compile(rf"{_START}\d{{3}}{_GAP}\d{{3}}{_GAP}\d{{3}}{_GAP}\d{{5}}{_END}")
_ABROAD = r"(?:\+|00)[1-9](?:[\u00a0 .()-]{0,2}\d){7,14}"
_AT_HOME = r"0[1-9]([\u00a0 .-]?)\d{2}(?:\1\d{2}){3}"  # one kind of gap throughout: a date has two
_PHONE = re.compile(rf"(?:(?<![\w+/.-])|(?<=\\[nrtbf]))(?:{_AT_HOME}|{_ABROAD}){_END}")
_LABEL = r"[^\W_](?:[^\W_]|-){0,62}"
_MAIL = re.compile(
    rf"(?:(?<![\w.%+~\\-])|(?<=\\[nrtbf]))[\w.%+~-]{{1,64}}@{_LABEL}(?:\.{_LABEL}){{1,8}}"
)
_WORD = re.compile(r"[^\W_]{1,64}")
_BETWEEN = re.compile(r"[\s.'’-]{1,3}")
_SHORTEST_IBAN, _LONGEST_IBAN = 15, 34


@dataclass(frozen=True, slots=True)
class Found:
    """One piece of personal data in a text."""

    start: int
    end: int
    kind: Kind
    value: str
    """In the form in which the same data always is the same."""


class Finder:
    """Finds personal data."""

    def __init__(self, names: Iterable[str] = (), *, region: str = REGION) -> None:
        """Make it.

        Args:
            names: Names of people, each as a whole; case and accents do not matter.
            region: Where telephone numbers without a country code are.
        """
        self._region = region
        self._names: dict[str, list[tuple[str, ...]]] = {}
        for name in names:
            words = tuple(_plain(word[0]) for word in _WORD.finditer(name))
            if words:
                self._names.setdefault(words[0], []).append(words)
        for known in self._names.values():
            known.sort(key=len, reverse=True)

    def find(self, text: str) -> list[Found]:
        """Return what is found, in order; of what overlaps, the kind that is checked better."""
        taken: list[tuple[int, int]] = []
        found: list[Found] = []
        ways: tuple[Callable[[str], Iterator[Found]], ...] = (
            self._mails,
            self._ibans,
            self._nirs,
            self._sirets,
            self._phones,
            self._named,
        )
        for way in ways:
            for item in way(text):
                if _free(taken, item):
                    insort(taken, (item.start, item.end))
                    found.append(item)
        return sorted(found, key=lambda item: item.start)

    def _mails(self, text: str) -> Iterator[Found]:
        if "@" in text:
            for match in _MAIL.finditer(text):
                yield Found(match.start(), match.end(), "mail", match[0].casefold())

    def _ibans(self, text: str) -> Iterator[Found]:
        place = 0
        while match := _IBAN.search(text, place):
            end = _iban_end(text, match.start(), match.end())
            place = end or match.start() + 4
            if end:
                value = _compact(text[match.start() : end]).upper()
                yield Found(match.start(), end, "iban", value)

    def _nirs(self, text: str) -> Iterator[Found]:
        from stdnum.fr import nir

        for match in _NIR.finditer(text):
            value = _compact(match[0]).upper()
            if nir.is_valid(value):
                yield Found(match.start(), match.end(), "nir", value)

    def _sirets(self, text: str) -> Iterator[Found]:
        from stdnum.fr import siret

        for match in _SIRET.finditer(text):
            value = _compact(match[0])
            if siret.is_valid(value):
                yield Found(match.start(), match.end(), "siret", value)

    def _phones(self, text: str) -> Iterator[Found]:
        for match in _PHONE.finditer(text):
            if value := phone(match[0], self._region):
                yield Found(match.start(), match.end(), "phone", value)

    def _named(self, text: str) -> Iterator[Found]:
        if not self._names:
            return
        words = list(_WORD.finditer(text))
        index = 0
        while index < len(words):
            first = words[index]
            starts = (first.start(), first.start() + 1)[: 1 + _escaped(text, first)]
            length, start = next(
                ((n, at) for at in starts if (n := self._name_at(text, words, index, at))), (0, 0)
            )
            if length:
                chosen = words[index + 1 : index + length]
                value = (text[start : first.end()], *(word[0] for word in chosen))
                yield Found(
                    start, words[index + length - 1].end(), "name", " ".join(map(_plain, value))
                )
            index += length or 1

    def _name_at(self, text: str, words: list[re.Match[str]], index: int, start: int) -> int:
        """Return how many words the longest name has that begins there; 0 where none does."""
        begun = _plain(text[start : words[index].end()])
        for name in self._names.get(begun, ()):
            chosen = words[index : index + len(name)]
            if tuple(_plain(word[0]) for word in chosen[1:]) == name[1:] and all(
                _BETWEEN.fullmatch(text, one.end(), other.start())
                for one, other in pairwise(chosen)
            ):
                return len(name)
        return 0


def _escaped(text: str, word: re.Match[str]) -> bool:
    """Return whether the first letter of a word may be an escape's, as in JSON within JSON."""
    start = word.start()
    return start > 0 and text[start - 1] == "\\" and text[start] in "nrtbf"


@lru_cache(maxsize=4096)
def phone(text: str, region: str = REGION) -> str:
    """Return a telephone number in its international form; empty where it is none."""
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(number):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def is_iban(value: str) -> bool:
    """Return whether a compact text is an IBAN by its check digits, its length and its country."""
    from stdnum import iban

    digits = "".join(str(int(sign, 36)) for sign in value[4:] + value[:4])
    return int(digits) % 97 == 1 and iban.is_valid(value)


def _iban_end(text: str, start: int, end: int) -> int:
    """Return where an IBAN ends that begins here; 0 where none does. Words may follow it."""
    places = [place for place in range(start, end) if text[place].isalnum()]
    for count in range(min(len(places), _LONGEST_IBAN), _SHORTEST_IBAN - 1, -1):
        last = places[count - 1] + 1
        follows = text[last : last + 1]
        if not follows.isalnum() and is_iban(_compact(text[start:last]).upper()):
            return last
    return 0


def _compact(text: str) -> str:
    return "".join(sign for sign in text if sign.isalnum())


def _plain(word: str) -> str:
    """Return a word without case and accents."""
    if word.isascii():
        return word.lower()
    parts = unicodedata.normalize("NFKD", word.casefold())
    return "".join(sign for sign in parts if not unicodedata.combining(sign))


def _free(taken: list[tuple[int, int]], item: Found) -> bool:
    place = bisect_left(taken, (item.start, item.end))
    before = taken[place - 1][1] if place else 0
    after = taken[place][0] if place < len(taken) else item.end
    return before <= item.start and item.end <= after
