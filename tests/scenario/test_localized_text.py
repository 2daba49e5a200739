"""Text per language."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.scenario.localized_text import in_language, is_language, localise

LANGUAGES = frozenset({"en", "fr", "pt-BR"})
CODES = st.sampled_from(sorted(LANGUAGES))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.sampled_from(["to", "body", "id"]), below, min_size=1, max_size=3)
    ),
    max_leaves=8,
)
MIXED = st.recursive(
    st.integers() | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.sampled_from(["to", "body"]), below, min_size=1)
        | st.dictionaries(CODES, below, min_size=1)
    ),
    max_leaves=8,
)


@given(PLAIN, CODES)
def test_a_value_without_languages_stays_as_it_is(value: Any, lang: str) -> None:
    """Nothing but a map of languages is replaced."""
    assert value == localise(value, lang, LANGUAGES)


@given(MIXED, CODES)
def test_no_map_of_languages_is_left(value: Any, lang: str) -> None:
    """Localising twice is localising once: the result has no language left in it."""
    once = localise(value, lang, LANGUAGES)
    assert once == localise(once, lang, LANGUAGES)


@given(st.dictionaries(CODES, PLAIN, min_size=1), CODES)
def test_a_map_of_languages_is_replaced_by_its_value(text: dict[str, Any], lang: str) -> None:
    """The language asked for comes first, then English, then the first that there is."""
    expected = text[lang] if lang in text else text.get("en", next(iter(text.values())))
    assert expected == localise(text, lang, LANGUAGES)


@given(st.dictionaries(CODES, st.text(min_size=1), min_size=1), CODES)
def test_text_and_arguments_choose_the_same_language(text: dict[str, str], lang: str) -> None:
    """A task and an argument with the same texts come in the same language."""
    assert in_language(text, lang) == localise(text, lang, LANGUAGES)


def test_a_map_with_other_keys_too_is_data() -> None:
    """A map that holds more than languages is an argument like any other."""
    assert localise({"fr": "a", "to": "b"}, "fr", LANGUAGES) == {"fr": "a", "to": "b"}


@pytest.mark.parametrize("code", ["en", "fr", "pt-BR"])
def test_a_language_code_is_known_by_its_form(code: str) -> None:
    """Two small letters, and a region where there is one."""
    assert is_language(code)


@pytest.mark.parametrize("code", ["", "e", "EN", "eng", "pt-br", "en-", "en\n", "en us", 5, None])
def test_anything_else_is_no_language_code(code: object) -> None:
    """Whatever has another form is refused."""
    assert not is_language(code)
