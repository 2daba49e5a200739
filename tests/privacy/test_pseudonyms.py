"""Pseudonyms: nothing personal stays, the same data gets the same one, and only with the key."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.detectors.pii import PersonalDataFinder
from sandbox.errors import InputError
from sandbox.privacy.pseudonym_keys import made_key, read_key
from sandbox.privacy.pseudonyms import Pseudonymiser
from tests.support.personal_data import BESIDE_A_WORD, EVERY, NAMES, OTHER
from tests.support.timing import best_of

KEY = b"k" * 32


def pseudonymiser(key: bytes = KEY) -> Pseudonymiser:
    """Return one that knows two names."""
    return Pseudonymiser(key, NAMES)


def test_a_name_in_a_path() -> None:
    """A folder's name is found, though the backslash before it could be an escape's."""
    assert pseudonymiser().text("C:\\Users\\Zoé Durand\\x") == "C:\\Users\\P-4BHDSDQW\\x"


@pytest.mark.parametrize("text", OTHER)
def test_other_numbers_stay(text: str) -> None:
    """Dates, addresses of machines, hashes and numbers with wrong check digits are no personal data."""
    assert pseudonymiser().text(text) == text


@pytest.mark.parametrize(("kind", "value"), EVERY)
def test_a_pseudonym_is_none_of_its_kind(kind: str, value: str) -> None:
    """A pseudonym cannot be taken for real data: it fails the check by which that is known."""
    made = pseudonymiser().text(value)
    assert made != value
    kinds = [datum.kind for datum in PersonalDataFinder(NAMES).find(made)]
    assert kinds == (["mail"] if kind == "mail" else [])
    if kind == "mail":
        assert made.endswith(".example")
    elif kind != "name":
        assert [sign.isalnum() for sign in made] == [sign.isalnum() for sign in value]


@pytest.mark.parametrize(("kind", "start", "value"), BESIDE_A_WORD)
def test_a_pseudonym_is_none_of_its_kind_beside_a_word_either(
    kind: str, start: str, value: str
) -> None:
    """Numbers that count beside a word are replaced there by numbers that are never issued."""
    made = pseudonymiser().text(start + value)
    assert made.startswith(start)
    assert made != start + value
    assert PersonalDataFinder().find(made) == []


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 10**16 - 1))
def test_no_account_has_the_number_that_stands_for_one(number: int) -> None:
    """Check digits of 00 are those of 97 to the check, so a pseudonym is made until it fails it."""
    rest = f"{number:018d}"
    check = 98 - int(f"{rest}131400") % 97
    made = pseudonymiser().text(f"DE{check:02d}{rest}")
    assert made[:4] == "DE00"
    assert PersonalDataFinder().find(made) == []


SAME = [
    ("FR76 3000 6000 0112 3456 7890 189", "FR7630006000011234567890189"),
    ("06 12 34 56 78", "0612345678"),
    ("zoe@mairie.fr", "ZOE@mairie.FR"),
    ("Zoé Durand", "ZOE DURAND"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_person_has_one_pseudonym(one: str, other: str) -> None:
    """Spaces, case and accents make no other person."""
    made = [pseudonymiser().text(text).replace(" ", "") for text in (one, other)]
    assert made[0] == made[1]


def test_a_number_is_the_same_with_and_without_its_country() -> None:
    """A telephone number keeps its pseudonym in all forms."""
    made = [pseudonymiser().text(t) for t in ("0612345678", "+33612345678", "+33 (0)6 12 34 56 78")]
    digits = ["".join(sign for sign in text if sign.isdigit())[-9:] for text in made]
    assert len(set(digits)) == 1


def test_addresses_of_one_domain_still_are() -> None:
    """Two people of one domain get two addresses of one domain."""
    one, other = (pseudonymiser().text(f"{who}@mairie.fr") for who in ("ada", "bo"))
    assert one != other
    assert one.partition("@")[2] == other.partition("@")[2]


@pytest.mark.parametrize(("kind", "value"), EVERY)
def test_another_key_gives_another_pseudonym(kind: str, value: str) -> None:
    """Without the key the pseudonym cannot be made again."""
    assert pseudonymiser().text(value) != pseudonymiser(b"x" * 32).text(value)


def test_data_in_all_places() -> None:
    """Values, keys, lists and JSON within texts are searched; all else stays as it was."""
    account = "FR7630006000011234567890189"
    data = {account: [1, None, True, {"x": json.dumps({"who": "Zoé Durand", "n": 1.0})}], "b": ""}
    made = pseudonymiser().data(data)
    text = json.dumps(made)
    assert account not in text
    assert "Durand" not in text
    assert [made[next(iter(made))][:3], made["b"]] == [[1, None, True], ""]
    assert json.loads(made[next(iter(made))][3]["x"])["n"] == 1.0


def test_json_without_personal_data_keeps_its_form() -> None:
    """A text that is JSON and holds nothing personal is not written anew."""
    text = '{"a":  1.50, "b": [ ] }'
    assert pseudonymiser().data(text) == text


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=30)
    | st.sampled_from([value for _, value in EVERY]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=50)
@given(JSON)
def test_no_account_survives(data: Any) -> None:
    """Whatever the data, it keeps its shape, gets the same pseudonyms again, and holds none of the originals."""
    made = pseudonymiser().data(data)
    assert made == pseudonymiser().data(data)
    assert type(made) is type(data)
    told = json.dumps(made, ensure_ascii=False)
    for _, value in EVERY:
        assert value not in told


HOSTILE = (
    "1",
    "a",
    "é",
    "FR76",
    "a@",
    "a.b@",
    "+1 ",
    "0 ",
    "1 2 3 4 ",
    "AB12 ",
    "AB12-",
    "06 12 34 56 78 ",
    "FR76 3000 6000 0112 3456 7890 189 ",
    "Zoé Durand ",
    "Zoé ",
    "-",
    "\\n",
    "[",
    '{"a":',
)


@pytest.mark.perf
@pytest.mark.parametrize("piece", HOSTILE)
def test_time_is_linear(piece: str) -> None:
    """Ten times the text takes about ten times as long, never a hundred times."""

    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        return best_of(3, lambda: pseudonymiser().data(text))

    seconds(1000)  # what is loaded at first use is no part of it
    assert seconds(100_000) < 40 * seconds(10_000) + 0.05


def test_a_key_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """A key is made where there is none, is the same afterwards, and others cannot read it."""
    path = tmp_path / "names.key"
    before = os.umask(0)
    try:
        key = made_key(path)
    finally:
        os.umask(before)
    assert (len(key), made_key(path), read_key(path)) == (32, key, key)
    assert path.stat().st_mode & 0o777 == 0o600


def test_keys_that_are_refused(tmp_path: Path) -> None:
    """A key that others can read, a file that is none, and none at all are refused by name."""
    path = tmp_path / "names.key"
    made_key(path)
    path.chmod(0o640)
    with pytest.raises(InputError, match=r"can be read by others: chmod 600"):
        read_key(path)
    path.chmod(0o600)
    path.write_text("secret")
    with pytest.raises(InputError, match="holds no key"):
        read_key(path)
    with pytest.raises(InputError, match="cannot read the key"):
        read_key(tmp_path / "none")


def test_escapes_of_json_are_seen_through_where_it_is_cut_off() -> None:
    """A name whose accents are escaped, once or twice, is found in JSON that is none as a whole."""
    names = Pseudonymiser(b"k" * 32, ["Zoé Marchal"])
    once = json.dumps({"a": "before Zoé Marchal after"}) * 2
    twice = json.dumps(once)[:-3]
    for text in (once, twice, "Zo\\u00e9 Marchal"):
        changed = names.text(text)
        assert "Marchal" not in changed
        assert changed.count(names.text("Zoé Marchal")) == text.count("Marchal")
    assert names.text("\\ud83d\\ude00 \\u0041 \\u") == "\\ud83d\\ude00 \\u0041 \\u"
