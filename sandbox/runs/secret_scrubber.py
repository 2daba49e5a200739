"""Keeping the host's secrets out of traces: values of its environment that look like keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_NAMES = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL)S?($|_)", re.IGNORECASE)
_SHORTEST = 8
"""Shorter values would hide ordinary words."""


def scrubber(environment: Mapping[str, str]) -> Callable[[str], str] | None:
    """Return a function that takes secrets out of a text, or None where there are none.

    Args:
        environment: Of the host process; keys for model providers are read from there.
    """
    secrets = {
        value: name
        for name, value in environment.items()
        if _NAMES.search(name) and len(value) >= _SHORTEST and not value.startswith("/")
    }
    if not secrets:
        return None
    longest_first = sorted(secrets, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)))

    def scrub(text: str) -> str:
        return pattern.sub(lambda found: f"[secret {secrets[found[0]]}]", text)

    return scrub
