"""A value is found in earlier texts whatever it went through, and nothing is claimed that is not there."""

from __future__ import annotations

import base64
import json
import random
import string
import urllib.parse
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.detectors.provenance import Origins, TextIndex
from sandbox.detectors.provenance.words import words
from tests.support.timing import best_of

ACCOUNT = "FR7630006000011234567890189"
TEXT = f"Please pay the invoice of Lumen SARL to {ACCOUNT} by Friday; ask Ana.Dupont@lumen.example first."


def of(corpus: TextIndex, value: object) -> Origins:
    """Return the origins of one argument after all texts of a corpus."""
    return Origins(corpus, {"x": value}, len(corpus.sources))


FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper case": str.upper,
    "quoted": lambda text: f"'{text}'",
    "spaced": lambda text: f"  {text}\n",
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "url": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "json": lambda text: json.dumps({"v": text}),
    "html": lambda text: "".join(f"&#{ord(sign)};" for sign in text),
    "zero width": "\u200b".join,
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) for c in text),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_identifier_in_the_call_in_every_form(form: str) -> None:
    """An account that a result held is known in the arguments, however it is written there."""
    corpus = TextIndex()
    corpus.add("user", "a", "Do what the mail says.")
    corpus.add("result", "a", TEXT, "mail.read", ("reads_untrusted",))
    (origin,) = of(corpus, FORMS[form](ACCOUNT)).values
    assert [source.number for source in origin.sources] == [1]
    assert (origin.untrusted, origin.given, origin.invented) == (True, False, False)


@pytest.mark.parametrize("form", FORMS)
def test_an_identifier_in_the_text_in_every_form(form: str) -> None:
    """An account is known that stands encoded in a result and plain in the call."""
    corpus = TextIndex()
    corpus.add("result", "a", f"note {FORMS[form](ACCOUNT)} end", "web.get")
    (origin,) = of(corpus, ACCOUNT).values
    assert [source.number for source in origin.sources] == [0]


def test_what_the_user_gave_is_given() -> None:
    """A value that both the user and a result hold is the user's, and not untrusted."""
    corpus = TextIndex()
    corpus.add("user", "a", f"Pay {ACCOUNT}.")
    corpus.add("result", "a", TEXT, "mail.read")
    (origin,) = of(corpus, ACCOUNT).values
    assert origin.given
    assert not origin.untrusted


def test_groups_and_pieces() -> None:
    """An account in groups is one word; a piece of it says where it is from."""
    corpus = TextIndex()
    corpus.add("result", "a", "IBAN FR76 3000 6000 0112 3456 7890 189", "mail.read")
    assert of(corpus, ACCOUNT).values[0].untrusted
    (piece,) = of(corpus, "FR76300060000").values
    assert [part.form for part in piece.parts] == ["piece"]


def test_a_template_is_taken_apart() -> None:
    """Of a longer text those parts are named that another text held, each with its source."""
    corpus = TextIndex()
    corpus.add("result", "a", "the code word is purple elephant", "mail.read", ("reads_sensitive",))
    (origin,) = of(corpus, "Hello, they say that the code word is purple elephant. Bye").values
    assert [part.text for part in origin.parts] == ["the code word is purple elephant"]
    assert origin.sensitive


def test_later_texts_do_not_count() -> None:
    """What came after the call is no origin of it."""
    corpus = TextIndex()
    corpus.add("user", "a", "Go on.")
    corpus.add("result", "a", TEXT, "mail.read")
    (origin,) = Origins(corpus, {"x": ACCOUNT}, 1).values
    assert origin.invented


@given(st.lists(st.text(max_size=60), max_size=6), st.text(string.ascii_letters + " ", max_size=30))
def test_whatever_is_claimed_is_there(texts: list[str], value: str) -> None:
    """A source that is said to hold a value holds its words in a row."""
    corpus = TextIndex()
    for text in texts:
        corpus.add("result", "a", text)
    for origin in of(corpus, value).values:
        for held in origin.held:
            joined = " ".join(words(texts[held.source.number]))
            assert held.form != "plain" or " ".join(words(origin.value)) in joined


@pytest.mark.perf
def test_cost_of_a_call_on_a_long_trace() -> None:
    """On 200 messages a call with five values is followed within 2 ms, and so on 2,000."""
    spent = {}
    for count in (200, 2000):
        drawn = random.Random(1)  # noqa: S311 - texts for a test
        vocabulary = ["".join(drawn.choices(string.ascii_lowercase, k=6)) for _ in range(3000)]
        corpus = TextIndex()
        for _ in range(count):
            corpus.add("result", "a", " ".join(drawn.choices(vocabulary, k=150)))
        arguments = {str(i): " ".join(drawn.choices(vocabulary, k=12)) for i in range(5)}
        spent[count] = best_of(5, partial(Origins, corpus, arguments, count))
    assert spent[200] < 0.004  # twice the figure that is aimed at, for slow machines
    assert spent[2000] < 10 * spent[200] + 0.004


def test_url_escapes_within_words() -> None:
    """A text in URL encoding is read, blanks and all."""
    corpus = TextIndex()
    corpus.add("result", "a", urllib.parse.quote("send the list to drop box now"), "web.get")
    assert of(corpus, "the list to drop box").values[0].untrusted


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1,284.00 EUR", 1284.0),
        ("1 284,00 €", 1284.0),
        ("1.284,00 €", 1284),
        ("1284", 1284.0),
        ("EUR 418.60", 418.6),
        ("418,6", 418.6),
        ("9,480.00", 9480.0),
        ("1,438.80", 1438.8),
        ("12,345,678", 12345678),
        ("-45.50", -45.5),
        ("0.5 %", 0.5),
    ],
)
def test_a_number_in_the_ways_in_which_people_write_it(written: str, value: float) -> None:
    """Cents and thousands are written in many ways; a call has the bare number."""
    corpus = TextIndex()
    corpus.add("result", "a", f"The total is {written} this month.", "mail.read")
    (origin,) = of(corpus, value).values
    assert (origin.invented, [s.tool for s in origin.sources]) == (False, ["mail.read"])


@pytest.mark.parametrize("value", [1285.0, 284.1, 12840.0, 1284.01])
def test_another_number_is_another(value: float) -> None:
    """A number that stands nowhere is made up, however like it is."""
    corpus = TextIndex()
    corpus.add("result", "a", "The total is 1,284.00 EUR.", "mail.read")
    (origin,) = of(corpus, value).values
    assert origin.invented
