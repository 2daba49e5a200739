"""Personal data: found in each form in which people write it, and not in what only looks like it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.detectors.pii import KINDS, PersonalDataFinder, canonical, find_personal_data
from tests.support.personal_data import BESIDE_A_WORD, EVERY, NAMES, OTHER


@pytest.mark.parametrize(("kind", "value"), EVERY)
@pytest.mark.parametrize(
    "around", ["{}", "({}), ok", "on {} is fine", "Tél.{} ok", 'x\\n{}\\n"', "«{}»."]
)
def test_personal_data_is_found(kind: str, value: str, around: str) -> None:
    """Each kind is found in each form, whatever stands around it, and nothing else with it."""
    if around.startswith("Tél.") and kind in ("mail", "card"):
        return  # there it would be another address, and a part of another number
    text = around.format(value)
    (datum,) = PersonalDataFinder(NAMES).find(text)
    assert (datum.kind, text[datum.start : datum.end]) == (kind, value)


@pytest.mark.parametrize(("kind", "value"), EVERY)
def test_monitors_and_pseudonyms_find_the_same(kind: str, value: str) -> None:
    """What one of them sees the other sees; only names are known to whoever lists them."""
    text = f"Her data: {value}, as agreed."
    everything = PersonalDataFinder().find(text)
    assert [datum.kind for datum in everything] == ([] if kind == "name" else [kind])
    assert find_personal_data(text) == everything


@pytest.mark.parametrize(("kind", "start", "value"), BESIDE_A_WORD)
def test_numbers_that_look_like_many_others_need_a_word(kind: str, start: str, value: str) -> None:
    """They count if the text says what they are, and else not."""
    (datum,) = find_personal_data(f"{start}{value}")
    assert (datum.kind, datum.value) == (kind, "".join(filter(str.isalnum, value)))
    assert find_personal_data(value) == []


@pytest.mark.parametrize("text", OTHER)
def test_other_numbers_are_none(text: str) -> None:
    """Dates, addresses of machines, hashes and numbers with wrong check digits are no personal data."""
    assert PersonalDataFinder(NAMES).find(text) == []


def test_numbers_in_a_list_are_each_found() -> None:
    """Numbers that follow each other are parted, by a slash too."""
    for text in ("0612345678/0698765432", "06 12 34 56 78 06 98 76 54 32"):
        assert [datum.value for datum in find_personal_data(text)] == [
            "+33612345678",
            "+33698765432",
        ]


def test_fourteen_digits_are_a_company_before_they_are_a_card() -> None:
    """A SIRET has two check digits, so what passes both is one; a card number of 14 digits else."""
    found = find_personal_data("35600000000048 and 30569309025904")
    assert [datum.kind for datum in found] == ["siret", "card"]


def test_monitors_see_each_value_once() -> None:
    """The same number in two forms is one piece of data; a text is looked at as far as its bound."""
    assert len(find_personal_data("06 12 34 56 78 or 0612345678 or +33612345678")) == 1
    assert find_personal_data("x" * 200_000 + " ada@town.example") == []
    assert len(find_personal_data(" ".join(f"a{n}@town.example" for n in range(1000)))) == 300


def test_ibans_of_other_countries() -> None:
    """Length and form of a country count, not its check digits alone."""
    assert canonical("iban", "GB82WEST12345698765432")
    assert not canonical("iban", "GB82WEST1234569876543")


@settings(deadline=None, max_examples=50)
@given(st.text(), st.sampled_from(EVERY), st.text())
def test_hostile_texts(before: str, personal: tuple[str, str], after: str) -> None:
    """No text makes it fail, and what is found lies in order and apart."""
    text = f"{before} {personal[1]} {after}"
    data = PersonalDataFinder(NAMES).find(text)
    assert all(0 <= x.start < x.end <= len(text) for x in data)
    assert all(x.end <= y.start for x, y in pairwise(data))
    assert {x.kind for x in data} <= set(KINDS)
