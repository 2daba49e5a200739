"""Pseudonyms in place of personal data: keyed, the same for the same data, of the same form.

A pseudonym is made from an HMAC-SHA256 of the data (RFC 2104). Who has the key can tell whether a
person is in the data by making the pseudonym again; who has it not can neither do that nor go back.
The key is kept apart from what is given away, in a file of its own (:mod:`sandbox.privacy.pseudonym_keys`).

Pseudonyms keep length, spaces and country of what they stand for, so that texts read as before; they
fail the check by which the real ones are known, so that none is taken for a real one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from array import array
from base64 import b32encode
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from sandbox.detectors.pii import REGION, Kind, PersonalDataFinder, canonical

_ESCAPE = re.compile(
    r"\\+u(00[89a-f][0-9a-f]|0[1-9a-f][0-9a-f]{2}|[1-9a-cef][0-9a-f]{3}|d[0-7][0-9a-f]{2})",
    re.IGNORECASE,
)
"""JSON's escape of a letter that is not ASCII, however deep it is nested."""
_TRIES = 32
_REMEMBERED = 10_000
"""Pseudonyms that are not made again."""
_NESTED_BYTES = 16 * 1024 * 1024
"""Of a text that is looked into as JSON; longer ones are searched as they stand."""


class Pseudonymiser:
    """Replaces personal data in texts and in JSON data."""

    def __init__(self, key: bytes, names: Iterable[str] = (), *, region: str = REGION) -> None:
        """Make it.

        Args:
            key: Secret bytes; the same key gives the same pseudonyms.
            names: Names of people that are to be replaced.
            region: Where telephone numbers without a country code are.
        """
        self._key = key
        self._finder = PersonalDataFinder(names, region=region)
        self._region = region
        self._pseudonym = lru_cache(_REMEMBERED)(self._new)
        self.replaced: Counter[Kind] = Counter()
        """How often each kind was replaced."""

    def text(self, text: str) -> str:
        """Return a text with pseudonyms in place of personal data."""
        unescaped, places = _unescape(text)
        parts: list[str] = []
        place = 0
        for datum in self._finder.find(unescaped):
            start, end = (places[at] if places else at for at in datum[:2])
            parts += [
                text[place:start],
                self._pseudonym(datum.kind, datum.value, unescaped[datum.start : datum.end]),
            ]
            place = end
            self.replaced[datum.kind] += 1
        return "".join((*parts, text[place:])) if parts else text

    def person(self, name: str) -> str:
        """Return the pseudonym of a person whose whole name this is, listed or not."""
        data = PersonalDataFinder([name], region=self._region).find(name)
        value = next((datum.value for datum in data if datum.kind == "name"), name.casefold())
        return f"P-{self._word('name', value, 8)}"

    def data(self, value: Any) -> Any:
        """Return JSON data with pseudonyms in all its texts, keys too, and in JSON that stands in texts."""
        if isinstance(value, str):
            return self._nested(value)
        if isinstance(value, dict):
            return {self.text(key): self.data(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.data(item) for item in value]
        return value

    def _nested(self, text: str) -> str:
        if text[:1] not in ("{", "[") or len(text) > _NESTED_BYTES:
            return self.text(text)
        try:
            data = json.loads(text)
            changed = self.data(data)
        except (ValueError, RecursionError):
            return self.text(text)
        if changed == data:
            return text
        return json.dumps(changed, ensure_ascii=text.isascii())

    def _new(self, kind: Kind, value: str, text: str) -> str:
        """Return a pseudonym of the same form that nobody has.

        Addresses of one domain still are, under a name that nobody can have. Other kinds keep a beginning, or
        get one that is never issued; what comes after it is changed until it fails the check of its kind.
        """
        if kind == "mail":
            domain = self._word("domain", value.rpartition("@")[2], 8)
            return f"p-{self._word('mail', value, 10).lower()}@d-{domain.lower()}.example"
        if kind == "name":
            return f"P-{self._word('name', value, 8)}"
        start = {"iban": f"{value[:2]}00", "ssn": "000", "nino": "QQ"}.get(kind, "")
        like = value
        if kind == "phone":
            start, like = _dialled(text, value)
        for part in range(_TRIES):
            rest = self._signs(kind, value, like[len(start) :], part)
            pseudonym = _laid_out(text, iter(start + rest))
            if not canonical(kind, pseudonym, self._region):
                return pseudonym
        return f"[{kind} {self._word(kind, value, 8)}]"

    def _word(self, kind: str, value: str, length: int) -> str:
        return b32encode(self._digest(kind, value)).decode()[:length]

    def _digest(self, kind: str, value: str, part: int = 0) -> bytes:
        message = f"{kind}\0{part}\0{value}".encode("utf-8", "surrogatepass")
        return hmac.new(self._key, message, hashlib.sha256).digest()

    def _signs(self, kind: str, value: str, like: str, part: int = 0) -> str:
        """Return signs of the same classes: a digit for a digit, a letter for a letter."""
        stream = self._stream(kind, value, part)
        return "".join(
            str(number % 10) if sign.isdigit() else chr(ord("A") + number % 26)
            for sign, number in zip(like, stream, strict=False)
        )

    def _stream(self, kind: str, value: str, part: int) -> Iterator[int]:
        """Yield numbers below 260, a multiple of 10 and of 26: no digit or letter is likelier."""
        block = 0
        while True:
            raw = self._digest(f"{kind}/{block}", value, part)
            for high, low in zip(raw[::2], raw[1::2], strict=True):
                if (number := high * 256 + low) < 65520:
                    yield number % 260
            block += 1


def _unescape(text: str) -> tuple[str, Sequence[int]]:
    """Return a text with JSON's escapes as what they stand for, and where each of its signs began.

    Escapes are in JSON that was cut off, joined, or put into other texts: as a whole it is none any more.
    No places are returned where there are no escapes.
    """
    if "\\u" not in text or not _ESCAPE.search(text):
        return text, ()
    pieces: list[str] = []
    places = array("q")
    at = 0
    for match in _ESCAPE.finditer(text):
        pieces += [text[at : match.start()], chr(int(match[1], 16))]
        places.extend((*range(at, match.start()), match.start()))
        at = match.end()
    places.extend(range(at, len(text) + 1))
    return "".join((*pieces, text[at:])), places


def _laid_out(text: str, signs: Iterator[str]) -> str:
    """Return signs in the places of the letters and digits of a text, in its case."""
    return "".join(
        (new.lower() if sign.islower() else new)
        if sign.isalnum() and (new := next(signs, "0"))
        else sign
        for sign in text
    )


def _dialled(text: str, international: str) -> tuple[str, str]:
    """Return the digits by which one sees where a number is, and zeros for all of its digits."""
    import phonenumbers

    start = str(phonenumbers.parse(international).country_code) + "0" * ("(0)" in text)
    if not text.startswith("+"):
        start = f"00{start}" if text.startswith("00") else "0"
    return start, "0" * sum(sign.isdigit() for sign in text)
