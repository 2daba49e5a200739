"""Personal data in a text, by the formats and check digits that its issuers document.

Monitors and pseudonyms use the same finder. It knows French and English forms, in the order of ``KINDS``.
Check digits are checked by python-stdnum, telephone numbers by phonenumbers. Numbers that look like many
others count only if the text has a word that says what they are. Names are found if they are listed: no
model guesses them. All patterns are bounded: the time is linear in the length of the text, whoever wrote it.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import import_module
from itertools import islice, pairwise
from typing import Literal, NamedTuple

Kind = Literal["mail", "iban", "nir", "card", "siret", "siren", "ssn", "nino", "phone", "name"]
REGION = "FR"
"""Where telephone numbers without a country code are: ten digits in pairs."""
TEXT_LIMIT = 128 * 1024
"""Characters of a text that monitors look at."""
_MOST = 300
"""Pieces of one kind that monitors look at."""

# A text may be JSON within JSON: an escape before a number is no part of a word.
_ESCAPE = r"(?<=\\[nrtbf])"
_START = rf"(?:(?<![^\W_])|{_ESCAPE})"
_END = r"(?![^\W_])"
_SPACES = "\u00a0\u202f "
_GAP = f"[{_SPACES}.-]?"
_LABEL = r"[^\W_](?:[^\W_]|-){0,62}"
_ABROAD = rf"(?:\+|00)[1-9](?:[{_SPACES}.()-]{{0,2}}\d){{7,14}}"
_AT_HOME = rf"(?:\(0[1-9]\)|0[1-9])([{_SPACES}.-]?)\d{{2}}(?:\1\d{{2}}){{3}}"  # one kind of gap: a date has two
_DOCUMENTED: dict[Kind, str] = {
    "mail": rf"(?:(?<![\w.%+~\\-])|{_ESCAPE})[\w.%+~-]{{1,64}}@(?:{_LABEL}\.){{1,8}}(?:xn--[\w-]{{1,59}}|[^\W\d_]{{2,63}})",
    "iban": rf"{_START}[A-Za-z]{{2}}\d{{2}}(?:[{_SPACES}-]?[A-Za-z0-9]){{11,30}}",
    "nir": rf"{_START}[1-478]{_GAP}\d\d{_GAP}(?:0[1-9]|1[0-2]|[2-9]\d){_GAP}(?:\d\d|2[ABab]){_GAP}\d{{3}}{_GAP}\d{{3}}{_GAP}\d\d{_END}",
    "siret": rf"{_START}\d{{3}}{_GAP}\d{{3}}{_GAP}\d{{3}}{_GAP}\d{{5}}{_END}",
    "card": rf"(?<![.+-]){_START}(?:(?:2[2-7]|[3-6]\d)\d\d(?:[ -]?\d{{4}}){{3}}|3[47]\d\d[ -]?\d{{6}}[ -]?\d{{5}}|3(?:0[0-5]|[689]\d)\d[ -]?\d{{6}}[ -]?\d{{4}}){_END}",
    "siren": rf"{_START}\d{{3}}{_GAP}\d{{3}}{_GAP}\d{{3}}(?![ .]?\d){_END}",
    "ssn": r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])",
    "nino": rf"{_START}[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{{2}} ?\d{{2}} ?\d{{2}} ?[A-D]{_END}",
    "phone": rf"(?:(?<![\w+-])(?<!\d\.)(?<!\D/)|{_ESCAPE})(?:{_AT_HOME}|{_ABROAD}){_END}",
}
_PATTERNS = {kind: re.compile(pattern) for kind, pattern in _DOCUMENTED.items()}
KINDS: tuple[Kind, ...] = (*_PATTERNS, "name")
"""Of two that overlap, the one that stands first."""
_CONTEXT: dict[Kind, re.Pattern[str]] = {
    "siren": re.compile(r"\b(?:siren|siret|rcs|r\.c\.s|entreprise|company|registr)", re.IGNORECASE),
    "ssn": re.compile(r"\b(?:ssn|social security|s[ée]curit[ée] sociale)\b", re.IGNORECASE),
}
"""A text with such numbers needs one of these words."""
_STDNUM = {
    "iban": "iban",
    "nir": "fr.nir",
    "siret": "fr.siret",
    "siren": "fr.siren",
    "card": "luhn",
}
_WORD = re.compile(r"[^\W_]{1,64}")
_BETWEEN = re.compile(r"[\s.'’-]{1,3}")
_SHORTEST_IBAN, _LONGEST_IBAN = 15, 34


class PersonalDatum(NamedTuple):
    """One piece of personal data in a text."""

    start: int
    end: int
    kind: Kind
    value: str
    """In the form in which the same data always is the same: without spaces, in capital letters; an address
    in small ones."""


class PersonalDataFinder:
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
        for same_start in self._names.values():
            same_start.sort(key=len, reverse=True)

    def find(self, text: str, most: int | None = None) -> list[PersonalDatum]:
        """Return the personal data in a text, in order.

        Args:
            text: The text.
            most: How many of one kind are looked at.
        """
        spans: list[tuple[int, int]] = []
        data = []
        for kind in KINDS:
            for datum in islice(self._of_kind(kind, text), most):
                if _is_free(spans, datum):
                    insort(spans, (datum.start, datum.end))
                    data.append(datum)
        return sorted(data)

    def _of_kind(self, kind: Kind, text: str) -> Iterator[PersonalDatum]:
        if kind == "name":
            yield from self._listed(text)
        elif kind == "iban":
            yield from _ibans(text)
        elif (kind != "mail" or "@" in text) and (
            kind not in _CONTEXT or _CONTEXT[kind].search(text)
        ):
            for match in _PATTERNS[kind].finditer(text):
                if value := canonical(kind, match[0], self._region):
                    yield PersonalDatum(match.start(), match.end(), kind, value)

    def _listed(self, text: str) -> Iterator[PersonalDatum]:
        words = list(_WORD.finditer(text)) if self._names else []
        index = 0
        while index < len(words):
            first = words[index]
            starts = (first.start(), first.start() + 1)[: 1 + _may_be_escape(text, first)]
            length, start = next(
                ((n, at) for at in starts if (n := self._name_at(text, words, index, at))), (0, 0)
            )
            if length:
                rest = words[index + 1 : index + length]
                value = " ".join(map(_plain, (text[start : first.end()], *(w[0] for w in rest))))
                yield PersonalDatum(start, words[index + length - 1].end(), "name", value)
            index += length or 1

    def _name_at(self, text: str, words: list[re.Match[str]], index: int, start: int) -> int:
        """Return how many words the longest name has that begins there; 0 if none does."""
        for name in self._names.get(_plain(text[start : words[index].end()]), ()):
            chosen = words[index : index + len(name)]
            if tuple(_plain(word[0]) for word in chosen[1:]) == name[1:] and all(
                _BETWEEN.fullmatch(text, one.end(), other.start())
                for one, other in pairwise(chosen)
            ):
                return len(name)
        return 0


def find_personal_data(text: str) -> list[PersonalDatum]:
    """Return the personal data in a text as monitors see it: each value once, within bounds, by kind."""
    data = PersonalDataFinder().find(text[:TEXT_LIMIT], _MOST)
    once = {(datum.kind, datum.value): datum for datum in reversed(data)}
    return sorted(once.values(), key=lambda datum: (KINDS.index(datum.kind), datum.start))


@lru_cache(maxsize=4096)
def canonical(kind: Kind, text: str, region: str = REGION) -> str:
    """Return a number or an address in its one form; empty if it fails the check of its kind."""
    if kind == "mail":
        return text.casefold()
    if kind == "phone":
        return _international(text, region)
    value = "".join(sign for sign in text if sign.isalnum()).upper()
    if (
        kind == "iban"
        and int("".join(str(int(sign, 36)) for sign in value[4:] + value[:4])) % 97 != 1
    ):
        return ""  # most are told apart by this alone, and sooner
    if kind == "card" and len(set(value)) <= 2:
        return ""
    module = _STDNUM.get(kind)
    valid = module is None or import_module(f"stdnum.{module}").is_valid(value)
    return value if valid and _PATTERNS[kind].fullmatch(text) else ""


def _international(text: str, region: str) -> str:
    import phonenumbers

    try:
        number = phonenumbers.parse(text.replace("\u202f", " "), region)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(number):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _ibans(text: str) -> Iterator[PersonalDatum]:
    place = 0
    while match := _PATTERNS["iban"].search(text, place):
        datum = _iban_at(text, match.start(), match.end())
        place = datum.end if datum else match.start() + 4
        if datum:
            yield datum


def _iban_at(text: str, start: int, end: int) -> PersonalDatum | None:
    """Return the IBAN that begins here; words may follow it."""
    places = [place for place in range(start, end) if text[place].isalnum()]
    for count in range(min(len(places), _LONGEST_IBAN), _SHORTEST_IBAN - 1, -1):
        last = places[count - 1] + 1
        if not text[last : last + 1].isalnum() and (value := canonical("iban", text[start:last])):
            return PersonalDatum(start, last, "iban", value)
    return None


def _may_be_escape(text: str, word: re.Match[str]) -> bool:
    """Return whether the first letter of a word may be an escape's, as in JSON within JSON."""
    start = word.start()
    return start > 0 and text[start - 1] == "\\" and text[start] in "nrtbf"


def _plain(word: str) -> str:
    """Return a word without case and accents."""
    if word.isascii():
        return word.lower()
    parts = unicodedata.normalize("NFKD", word.casefold())
    return "".join(sign for sign in parts if not unicodedata.combining(sign))


def _is_free(spans: list[tuple[int, int]], datum: PersonalDatum) -> bool:
    place = bisect_left(spans, (datum.start, datum.end))
    before = spans[place - 1][1] if place else 0
    after = spans[place][0] if place < len(spans) else datum.end
    return before <= datum.start and datum.end <= after
