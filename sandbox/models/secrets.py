"""Keeping the host's secrets to itself: values of its environment that look like keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

_NAMES = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|JWT|AUTH)S?($|_)", re.IGNORECASE)
_IN_URL = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
"""The password of a URL, such as a proxy's or a database's."""
_SHORTEST = 8
"""Shorter values would hide ordinary words."""


def scrubber(
    environment: Mapping[str, str], also: Collection[str] = ()
) -> Callable[[str], str] | None:
    """Return a function that takes secrets out of a text, or None where there are none.

    Args:
        environment: Of the host process; keys for model providers are read from there.
        also: Variables that hold a secret though their name does not tell.
    """
    secrets = {
        secret: name
        for name, value in environment.items()
        for secret in _secrets(name, value, also)
        if len(secret) >= _SHORTEST
    }
    if not secrets:
        return None
    longest_first = sorted(secrets, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)))
    return lambda text: pattern.sub(lambda match: f"[secret {secrets[match[0]]}]", text)


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the variables that look like keys."""
    return {name: value for name, value in environment.items() if not _is_secret(name, value)}


def _is_secret(name: str, value: str) -> bool:
    return bool(_NAMES.search(name)) and not value.startswith("/")


def _secrets(name: str, value: str, also: Collection[str]) -> list[str]:
    if name in also or _is_secret(name, value):
        return [value]
    return _IN_URL.findall(value)
