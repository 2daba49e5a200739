"""Text that may be given per language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

DEFAULT_LANGUAGE = "en"
_LANGUAGE = re.compile(r"[a-z]{2}(-[A-Z]{2})?")


def _as_map(value: Any) -> Any:
    if isinstance(value, str):
        return {DEFAULT_LANGUAGE: value}
    if isinstance(value, dict):
        if not value:
            raise ValueError("a text needs at least one language")
        for key in value:
            if not is_language(key):
                raise ValueError(f"{key!r} is not a language code such as 'en' or 'fr'")
        return value
    raise ValueError("should be a text, or a map from language to text")


Text = Annotated[
    dict[str, str], BeforeValidator(_as_map, json_schema_input_type=str | dict[str, str])
]
"""A plain text (taken as English), or a map from language code to text."""


def is_language(code: object) -> bool:
    """Return whether this has the form of a language code: ``en``, ``fr``, ``pt-BR``."""
    return isinstance(code, str) and bool(_LANGUAGE.fullmatch(code))


def in_language(text: Mapping[str, str], lang: str) -> str:
    """Return the text in a language, else in English, else in the first language it has."""
    return text.get(lang) or text.get(DEFAULT_LANGUAGE) or next(iter(text.values()))


def localise(value: Any, lang: str, languages: frozenset[str]) -> Any:
    """Return a JSON value with every map from language to value replaced by the one for ``lang``.

    A map counts as such where its keys are all languages; without ``lang`` among them it stands for
    its English value, or its first.
    """
    if isinstance(value, list):
        return [localise(item, lang, languages) for item in value]
    if not isinstance(value, dict):
        return value
    if value and value.keys() <= languages:
        return localise(
            value.get(lang, value.get(DEFAULT_LANGUAGE, next(iter(value.values())))),
            lang,
            languages,
        )
    return {key: localise(item, lang, languages) for key, item in value.items()}
