"""Large texts: stored once by their hash, and given back as they were."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import StoreError
from sandbox.trace import blobs
from sandbox.trace.blobs import THRESHOLD, Blob
from sandbox.trace.recorder import Recorder
from sandbox.trace.store import Store
from tests.support.runner import Runner
from tests.support.sample_events import say

TEXT = st.text(st.characters(exclude_categories=[]), max_size=30)
KEY = TEXT | st.sampled_from(["$blob", "size", "$literal"])
JSON = st.recursive(
    st.none() | st.integers() | TEXT | TEXT.map(lambda text: (text + "x") * THRESHOLD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3),
)
LARGE = {
    "plain": "a" * 2000,
    "lone surrogates": "\ud800x\udfff" * 1000,
    "NUL": "\x00" * 5000,
    "newlines": "\r\n\u2028" * 1000,
    "characters of four bytes": "𝄞" * 1100,
    "10 MB": "".join(f"{number:010d}" for number in range(1_000_000)),
}


@given(JSON)
def test_data_comes_back_as_it_was(value: Any) -> None:
    """Any JSON data, references among its keys included, survives being taken apart."""
    kept: dict[str, str] = {}

    def keep(raw: bytes, sha256: str) -> None:
        kept[sha256] = raw.decode("utf-8", "surrogatepass")

    apart = blobs.take_out(value, keep)
    assert set(blobs.references(apart)) == set(kept)
    assert blobs.put_back(apart, kept.__getitem__) == value


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE)
def test_the_store_gives_it_back(store: Store, text: str) -> None:
    """A large text of any characters is read from the store as it was recorded."""
    recorder = Recorder(store, "r")
    item = say(recorder, text)
    recorder.flush()
    assert store.content(item) == {"role": "user", "content": text}


def test_a_text_is_stored_once(store: Store) -> None:
    """However many events and runs name a text, one blob holds it."""
    for run in ("a", "b", "a2"):
        recorder = Recorder(store, run)
        for _ in range(3):
            say(recorder, "x" * 3000)
            recorder.flush()
    assert rows(store) == 1
    with Store(store.url) as other:
        recorder = Recorder(other, "c")
        say(recorder, "x" * 3000)
        recorder.flush()
    assert rows(store) == 1


async def test_messages_of_a_run_are_stored_once(play: Runner) -> None:
    """A message is an event once, however often the conversation is sent again."""
    result = await play("scripted/safe")
    messages = play.data(result.id, "message")
    assert [item["role"] for item in messages] == ["system", "user"]
    requests = play.data(result.id, "model.request")
    assert [item["messages"] for item in requests] == [2, 4, 6, 8, 10, 12, 14, 16][: len(requests)]
    assert [item["kept"] for item in requests[1:]] == [
        item["messages"] - 1 for item in requests[1:]
    ]


@given(st.text(min_size=THRESHOLD + 1, max_size=3000))
def test_damage_is_found(text: str) -> None:
    """A packed text with any byte changed cannot pass for the text."""
    raw = text.encode()
    blob = Blob.of(raw, hashlib.sha256(raw).hexdigest())
    damaged = bytearray(blob.packed)
    damaged[len(damaged) // 2] ^= 1
    assert hashlib.sha256(bytes(damaged)).hexdigest() != blob.packed_sha256


def test_a_missing_text_is_named(store: Store) -> None:
    """Reading a text that is not there says which."""
    with pytest.raises(StoreError, match=r"the text 00000000.* is missing"):
        store.text("0" * 64)


def test_a_bomb_is_not_unpacked() -> None:
    """Bytes that unpack to more than the size they were stored with are refused or cut."""
    raw = b"x" * 1_000_000
    blob = Blob.of(raw, "")
    with pytest.raises(ValueError, match="cannot be decompressed"):
        blobs.unpack(blob.packed[: len(blob.packed) // 2], blob.size)


def rows(store: Store) -> int:
    """Return how many blobs the store holds."""
    with store._engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT COUNT(*) FROM blob").scalar_one())
