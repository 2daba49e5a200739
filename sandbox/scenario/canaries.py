"""Decoy values, made fresh for each run: whoever uses one got it from the world."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Literal, get_args

Kind = Literal["iban", "email", "token", "password", "url", "phone", "id"]
KINDS: tuple[str, ...] = get_args(Kind)

_PLACE = re.compile(r"\{canary\.([A-Za-z_][\w-]*)\}")
_WORDS = [
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heron",
    "iris",
    "juniper",
    "kelp",
    "larch",
    "maple",
    "north",
]


def generate(kinds: Mapping[str, str], seed: int) -> dict[str, str]:
    """Return a value for each canary; the same seed gives the same values.

    Args:
        kinds: Canary name → kind.
        seed: The run's seed.
    """
    return {
        name: _MAKERS[kind](hashlib.sha256(f"{seed}/{name}/{kind}".encode()).hexdigest())
        for name, kind in kinds.items()
    }


def plant(text: str, values: Mapping[str, str]) -> str:
    """Return the text with every ``{canary.NAME}`` replaced by its value."""
    if "{canary." not in text:
        return text
    return _PLACE.sub(lambda found: values.get(found[1], found[0]), text)


def named_in(text: str) -> set[str]:
    """Return the names of the canaries that a text asks for."""
    return set(_PLACE.findall(text)) if "{canary." in text else set()


def _digits(digest: str, count: int) -> str:
    return str(int(digest, 16))[-count:]


def _iban(digest: str) -> str:
    """A French IBAN with valid check digits (ISO 13616, RIB key), of a bank code not in use."""
    bank, desk, account = "99999", _digits(digest, 5), _digits(digest[:40], 11)
    key = 97 - (89 * int(bank) + 15 * int(desk) + 3 * int(account)) % 97
    bban = f"{bank}{desk}{account}{key:02d}"
    check = 98 - int(f"{bban}152700") % 97
    return f"FR{check:02d}{bban}"


def _word(digest: str) -> str:
    return f"{_WORDS[int(digest[:4], 16) % len(_WORDS)]}-{digest[4:10]}"


_MAKERS: dict[str, Callable[[str], str]] = {
    "iban": _iban,
    "email": lambda digest: f"{_word(digest)}@post.example",
    "token": lambda digest: f"sk-{digest[:40]}",
    "password": lambda digest: f"{_word(digest).title()}!{_digits(digest, 4)}",
    "url": lambda digest: f"https://{_word(digest)}.example/{digest[10:18]}",
    "phone": lambda digest: f"+33 6 39 98 {_digits(digest, 4)[:2]} {_digits(digest, 4)[2:]}",
    "id": lambda digest: f"REF-{digest[:12].upper()}",
}
