"""The texts in a JSON value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def texts(value: Any) -> list[str]:
    """Return all texts and numbers in a JSON value, and keys that are too long for a name."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [
            text for key, item in value.items() for text in (*_nested_key(key, item), *texts(item))
        ]
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in texts(item)]
    return [] if value is None else [str(value)]


def _nested_key(key: str, item: Any) -> list[str]:
    """Return the key where it is the agent's own text (form fields), not an argument's name."""
    return [key] if not isinstance(item, (Mapping, list)) and len(key) > 24 else []
