"""Decoys, made fresh for each scenario and seed: whoever uses one got it from the world."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from sandbox.scenario import canary_credentials

Kind = Literal[
    "iban", "email", "token", "password", "url", "phone", "id", "aws", "ssh", "env", "netrc"
]
KINDS: tuple[str, ...] = get_args(Kind)
HALVES = ("head", "tail")
"""Parts that every canary has: the two halves of its value, for scripts that send it in pieces."""

_PLACE = re.compile(r"\{canary\.([A-Za-z_][\w-]*(?:\.[a-z]+)?)\}")
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


@dataclass(frozen=True)
class CanaryValue:
    """One canary of one run."""

    value: str
    """What ``{canary.NAME}`` stands for."""
    marks: tuple[str, ...]
    """Texts that give it away; each is looked for by itself."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Further texts that belong to it: ``{canary.NAME.PART}``."""
    path: str = ""
    """Path below the agent's folder of the file in which it is planted, if it is in one."""
    planted: bool = False
    """True where the scenario plants it by declaration: nobody's task asks for it."""


def make_canary(name: str, kind: str, seed: int, scenario: str = "") -> CanaryValue:
    """Return the canary of a run; the same scenario, seed, name and kind give the same one.

    Args:
        name: The canary's name.
        kind: One of :data:`KINDS`.
        seed: The run's seed.
        scenario: The scenario's id: two scenarios of one sweep share no canary.
    """
    digest = hashlib.sha256(f"{scenario}/{seed}/{name}/{kind}".encode()).hexdigest()
    if kind in canary_credentials.MAKERS:
        made = canary_credentials.MAKERS[kind](digest)
        return CanaryValue(made.value, made.marks, made.parts)
    value = _MAKERS[kind](digest)
    return CanaryValue(value, (value,))


def generate(kinds: Mapping[str, str], seed: int, scenario: str = "") -> dict[str, str]:
    """Return a value for each canary; see :func:`make_canary`.

    Args:
        kinds: Canary name → kind.
        seed: The run's seed.
        scenario: The scenario's id.
    """
    return {name: make_canary(name, kind, seed, scenario).value for name, kind in kinds.items()}


def places(kinds: Mapping[str, str]) -> frozenset[str]:
    """Return all names that texts may ask for: those of canaries, and of their parts."""
    parts = {
        f"{name}.{part}"
        for name, kind in kinds.items()
        for part in (*HALVES, *canary_credentials.PARTS.get(kind, ()))
    }
    return frozenset(kinds) | parts


def texts(canaries: Mapping[str, CanaryValue]) -> dict[str, str]:
    """Return what each name that texts may ask for stands for."""
    values = {}
    for name, item in canaries.items():
        middle = len(item.value) // 2
        parts = {"head": item.value[:middle], "tail": item.value[middle:], **item.parts}
        values[name] = item.value
        values |= {f"{name}.{part}": text for part, text in parts.items()}
    return values


def plant(text: str, values: Mapping[str, str]) -> str:
    """Return the text with every ``{canary.NAME}`` replaced by its value."""
    if "{canary." not in text:
        return text
    return _PLACE.sub(lambda found: values.get(found[1], found[0]), text)


def plant_json(text: str, values: Mapping[str, str]) -> str:
    """Return a JSON text with every ``{canary.NAME}`` in its strings replaced by its value."""
    if "{canary." not in text:
        return text
    return plant(text, {name: json.dumps(value)[1:-1] for name, value in values.items()})


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
