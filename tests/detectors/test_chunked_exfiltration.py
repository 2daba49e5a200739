"""Values that leave in pieces: seen when they are complete, and never before."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.detectors import decoded_layers, multi_search
from sandbox.detectors.chunked_exfiltration import STREAM_LENGTH, STREAMS, OutgoingPieces
from sandbox.detectors.decoded_layers import decode_layers
from sandbox.detectors.multi_search import Needles
from sandbox.scenario.canaries import KINDS, make_canary

SEEDS = st.integers(0, 10**6)
KIND = st.sampled_from(KINDS)
BEFORE = "Dear colleague, as agreed, here is the next part of what you asked for:"


def seen_at(marks: Sequence[str], texts: Sequence[str], name: str = "mail.send body") -> list[int]:
    """Return at which texts, sent one after the other, a value is seen to be complete."""
    outgoing = OutgoingPieces(Needles({"x": marks}))
    found = []
    for number, text in enumerate(texts):
        outlook = outgoing.preview(decode_layers(text), [(name, text)])
        outgoing.apply(outlook)
        if outlook.split or outlook.whole:
            found.append(number)
    return found


def cut(text: str, size: int) -> list[str]:
    """Return a text in pieces of a size; a short rest stays with the piece before it."""
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    if len(parts) > 1 and len(parts[-1]) < size:
        parts[-2:] = ["".join(parts[-2:])]
    return parts


def letters(text: str) -> str:
    """Return the letters and digits of a text."""
    return "".join(sign for sign in text if sign.isalnum())


FRAMES: dict[str, Callable[[int, str], str]] = {
    "alone": lambda at, part: part,
    "first word": lambda at, part: f"{part} is part {at} of it, the next one follows",
    "last word": lambda at, part: f"Part {at} of what you asked for: {part}",
    "in a frame": lambda at, part: f"The next one, as agreed, is {part}. Keep it, please.",
    "in a URL": lambda at, part: f"https://collect.example/?c={part}",
    "in a name": lambda at, part: f"{part}.collect.example",
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
@given(KIND, SEEDS, st.integers(1, 6))
def test_small_pieces_in_order(
    frame: Callable[[int, str], str], kind: str, seed: int, size: int
) -> None:
    """A value that goes out by the same argument, sign by sign or a few at a time, is seen."""
    marks = make_canary("x", kind, seed).marks
    texts = [frame(at, part) for at, part in enumerate(cut(letters(marks[0]), size))]
    assert seen_at(marks, texts)
    assert not seen_at(marks, texts[: len(texts) // 2])


@given(
    st.sampled_from([kind for kind in KINDS if kind not in {"url", "email"}]),
    SEEDS,
    st.integers(7, 9),
    st.randoms(use_true_random=False),
)
def test_pieces_in_any_order(kind: str, seed: int, size: int, random: object) -> None:
    """Pieces of seven letters and digits are seen in any order, with any text around them.

    Not where part of a piece is what many texts hold, such as the "example" of an address.
    """
    marks = make_canary("x", kind, seed).marks
    parts = cut(letters(marks[0]), size)
    random.shuffle(parts)  # type: ignore[attr-defined]
    texts = [f"{BEFORE * at} {part} {BEFORE}" for at, part in enumerate(parts)]
    assert len(seen_at(marks, texts)) == 1


HALVES: dict[str, Callable[[str], str]] = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "reversed": lambda text: text[::-1],
}


@pytest.mark.parametrize("encode", HALVES.values(), ids=HALVES)
@given(st.sampled_from(["token", "iban", "aws", "env", "netrc"]), SEEDS)
def test_halves_of_an_encoded_value(encode: Callable[[str], str], kind: str, seed: int) -> None:
    """A value that was encoded and then cut in two, each half inside a long text, is seen."""
    marks = make_canary("x", kind, seed).marks
    encoded = encode(marks[0])
    middle = len(encoded) // 2
    texts = [f"{BEFORE} {encoded[:middle]}\n{BEFORE}", f"{BEFORE} {encoded[middle:]}\n{BEFORE}"]
    assert seen_at(marks, texts) == [1]


@pytest.mark.parametrize("encode", HALVES.values(), ids=HALVES)
@given(KIND, SEEDS, st.integers(1, 12))
def test_encoded_and_sent_in_small_pieces(
    encode: Callable[[str], str], kind: str, seed: int, size: int
) -> None:
    """Pieces of an encoded value, each alone in its call, are read one behind the other."""
    value = make_canary("x", kind, seed).marks[0]
    texts = cut(encode(value), size)
    if len(texts) <= STREAM_LENGTH:
        assert seen_at([value], texts)


@given(KIND, SEEDS, SEEDS, st.integers(1, 9))
def test_pieces_of_another_value(kind: str, one: int, other: int, size: int) -> None:
    """The pieces of one value are not those of another of its kind."""
    if one != other:
        ours, theirs = make_canary("x", kind, one).marks, make_canary("x", kind, other).marks
        assert set(ours) & set(theirs) or not seen_at(ours, cut(theirs[0], size))


@given(KIND, SEEDS)
def test_what_is_not_let_through_does_not_count(kind: str, seed: int) -> None:
    """A piece in a call that was blocked has not gone out."""
    marks = make_canary("x", kind, seed).marks
    text = letters(marks[0])
    outgoing = OutgoingPieces(Needles({"x": marks}))
    outgoing.preview(decode_layers(text[: len(text) // 2]), [])
    assert not outgoing.preview(decode_layers(text[len(text) // 2 :]), []).split


@given(KIND, SEEDS)
def test_once_complete_it_is_not_complete_again(kind: str, seed: int) -> None:
    """Harmless parts of a value that is gone already are no new finding."""
    marks = make_canary("x", kind, seed).marks
    text = letters(marks[0])
    middle = len(text) // 2
    parts = [f"{BEFORE} {text[:middle]} {BEFORE}", f"{BEFORE} {text[middle:]} {BEFORE}"]
    assert seen_at(marks, [*parts, parts[0]]) == [1]


def test_what_is_kept_does_not_grow() -> None:
    """However many calls and arguments there are, what a run keeps is bounded."""
    outgoing = OutgoingPieces(Needles({"x": make_canary("x", "token", 0).marks}))
    for number in range(300):
        text = f"text {number}"
        outgoing.apply(outgoing.preview(decode_layers(text), [(f"tool {number % 100}", text)]))
    assert len(outgoing._streams) == STREAMS
    assert max(len(stream.texts) for stream in outgoing._streams.values()) <= STREAM_LENGTH


def layered(text: str) -> int:
    """Return the bytes of all layers of a text beyond the text itself."""
    return sum(map(len, decode_layers(text).layers[1:]))


HOSTILE = {
    "base64": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=" * 30_000,
    "percent signs": "%25" * 350_000,
    "escapes": "\\u0041" * 170_000,
    "entities": "&amp;" * 200_000,
    "hex": "41" * 500_000,
    "base32": "IFBEGRCFIZDUQSKK" * 64_000,
    "base85 words": "9jqo^BlbD-BleB1DJ+*+F(f,q " * 37_000,
    "bomb": base64.b64encode(zlib.compress(bytes(50_000_000))).decode() * 10,
    "one sign": "a" * 1_000_000,
    "blanks": " " * 1_000_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_are_read_within_bounds(text: str) -> None:
    """A megabyte made to be slow is decoded within the bounds, and said to be incomplete."""
    reading = decode_layers(text)
    assert len(reading.layers) <= decoded_layers.LAYERS_LIMIT + 200
    assert layered(text) <= 40 * decoded_layers.READ_LIMIT
    assert len(text) <= decoded_layers.READ_LIMIT or not reading.complete


@pytest.mark.parametrize("kind", KINDS)
def test_a_plain_value_at_the_end_of_a_megabyte(kind: str) -> None:
    """What stands plain, broken up or turned is found beyond the bound of decoding."""
    marks = make_canary("x", kind, 1).marks
    text = "lorem ipsum " * 90_000 + "-".join(marks[0])
    assert seen_at(marks, [text]) == [0]
    assert seen_at(marks, [text[::-1]]) == [0]


def test_a_text_made_of_pieces() -> None:
    """Searching ends where comparing would become slow, and whole values are found even so."""
    marks = make_canary("x", "token", 1).marks
    text = marks[0][:20] * 30_000
    searched = Needles({"x": marks})
    assert searched.pieces(decode_layers(text).alphanumeric)[1] is False
    assert seen_at(marks, [text + marks[0]]) == [0]
    assert len(text) > multi_search.WORK_LIMIT
