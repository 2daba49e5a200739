"""Personal data in a text, by the formats and check digits that its issuers document.

French and English forms: NIR, SIREN and SIRET, IBAN, payment cards, phone numbers, mail addresses, and the
social security numbers of the USA and the United Kingdom. Check digits by python-stdnum, phone numbers by
phonenumbers. Numbers that look like anything else count only beside a word that says what they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

TEXT_LIMIT = 128 * 1024
"""Characters of a text that are looked at."""
_MOST = 300
"""Numbers of one kind that are looked at."""
_PHONES = 200
"""Phone numbers that are looked for in one text."""

_NIR = re.compile(
    r"(?<![\dA-Za-z])[1-478][ .-]?\d\d[ .-]?(?:0[1-9]|1[0-2]|[2-9]\d)[ .-]?(?:\d\d|2[ABab])[ .-]?\d{3}[ .-]?\d{3}[ .-]?\d\d(?![\dA-Za-z])"
)
_SIRET = re.compile(r"(?<![\dA-Za-z])\d{3}[ .]?\d{3}[ .]?\d{3}[ .]?\d{5}(?![\dA-Za-z])")
_SIREN = re.compile(r"(?<![\dA-Za-z])\d{3}[ .]?\d{3}[ .]?\d{3}(?![ .]?\d)(?![A-Za-z])")
_IBAN = re.compile(
    r"(?<![\dA-Za-z])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![\dA-Za-z])"
)
_CARD = re.compile(
    r"(?<![\dA-Za-z.+-])(?:[3-6]\d{3}[ -]?(?:\d{4}[ -]?){2}\d{1,4}|3[47]\d{2}[ -]?\d{6}[ -]?\d{5})(?![\dA-Za-z])"
)
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{2,63}){1,5}")
_SSN = re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
_NINO = re.compile(
    r"(?<![A-Za-z\d])[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D](?![A-Za-z\d])"
)
_COMPANY = re.compile(r"\b(?:siren|siret|rcs|r\.c\.s|entreprise|company|registr)", re.IGNORECASE)
_SOCIAL = re.compile(r"\b(?:ssn|social security|s[ée]curit[ée] sociale)\b", re.IGNORECASE)
_DIGITS = re.compile(r"\d(?:[ .()/-]{0,2}\d){8}")


@dataclass(frozen=True)
class PersonalDatum:
    """One piece of personal data."""

    kind: str
    """``nir``, ``siren``, ``siret``, ``iban``, ``card``, ``phone``, ``mail``, ``ssn`` or ``nino``."""
    value: str
    """Without spaces, in capital letters; a mail address in small ones."""


def find_personal_data(text: str) -> list[PersonalDatum]:
    """Return the personal data in a text, each once, in the order of the kinds above."""
    text = text[:TEXT_LIMIT]
    found = dict.fromkeys(_numbers(text))
    found |= dict.fromkeys(PersonalDatum("mail", item[0].lower()) for item in _MAIL.finditer(text))
    return list(found)


def _numbers(text: str) -> Iterator[PersonalDatum]:
    if not _DIGITS.search(text) and not _NINO.search(text):
        return
    taken: list[tuple[int, int]] = []
    for kind, pattern, valid in _kinds(text):
        for item in islice(pattern.finditer(text), _MOST):
            value = re.sub(r"[ .-]", "", item[0]).upper()
            if any(start < item.end() and item.start() < end for start, end in taken):
                continue
            if valid(value):
                taken.append(item.span())
                yield PersonalDatum(kind, value)
    yield from _phones(text, taken)


def _kinds(text: str) -> Iterator[tuple[str, re.Pattern[str], Callable[[str], bool]]]:
    from stdnum import iban, luhn
    from stdnum.fr import nir, siren, siret

    company = bool(_COMPANY.search(text))
    yield "iban", _IBAN, iban.is_valid
    yield "nir", _NIR, nir.is_valid
    yield "card", _CARD, lambda value: len(set(value)) > 2 and luhn.is_valid(value)
    if company:
        yield "siret", _SIRET, siret.is_valid
        yield "siren", _SIREN, siren.is_valid
    if _SOCIAL.search(text):
        yield "ssn", _SSN, lambda value: True
    yield "nino", _NINO, lambda value: True


def _phones(text: str, taken: list[tuple[int, int]]) -> Iterator[PersonalDatum]:
    """Yield phone numbers: international ones, and French ones as they are written at home."""
    if not _DIGITS.search(text):
        return
    import phonenumbers

    matcher = phonenumbers.PhoneNumberMatcher(text, "FR", max_tries=_PHONES)
    for found in matcher:
        if not any(start < found.end and found.start < end for start, end in taken):
            number = phonenumbers.format_number(found.number, phonenumbers.PhoneNumberFormat.E164)
            yield PersonalDatum("phone", number)
