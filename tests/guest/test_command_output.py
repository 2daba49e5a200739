"""Output of commands, kept within a limit: the beginning and the end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sandbox.guest.command import HeadAndTail

CHUNKS = st.lists(st.binary(max_size=40), max_size=12)


def kept(chunks: list[bytes], limit: int) -> str:
    """Return what is kept of chunks."""
    stream = HeadAndTail(limit)
    for chunk in chunks:
        stream.add(chunk)
    return stream.text()


@given(CHUNKS)
def test_what_fits_is_kept_whole(chunks: list[bytes]) -> None:
    """Within the limit nothing is lost, however it arrives."""
    assert b"".join(chunks).decode("utf-8", "replace") == kept(chunks, 1000)


@given(st.lists(st.text("abc", max_size=40), max_size=12), st.integers(1, 50))
def test_beginning_and_end_are_kept(texts: list[str], half: int) -> None:
    """Above the limit the middle goes, and the note says how many bytes."""
    whole = "".join(texts)
    cut = len(whole) - 2 * half
    note = f"\n[… {cut} bytes left out …]\n"
    expected = whole[:half] + note + whole[-half:] if cut > 0 else whole
    assert expected == kept([text.encode() for text in texts], 2 * half)


@given(CHUNKS, st.integers(0, 60))
def test_chunks_make_no_difference(chunks: list[bytes], limit: int) -> None:
    """What is kept depends on the bytes, not on how the pipe cut them."""
    assert kept([b"".join(chunks)], limit + 2) == kept(chunks, limit + 2)


def test_a_sign_cut_in_two_is_replaced() -> None:
    """Bytes that are no UTF-8, as at the edge of the cut, show as the replacement sign."""
    assert kept(["aé--é".encode() + b"b"], 4) == "a\ufffd\n[… 4 bytes left out …]\n\ufffdb"


def test_memory_stays_within_the_limit() -> None:
    """An endless stream is forgotten as it comes."""
    stream = HeadAndTail(1000)
    for _ in range(100):
        stream.add(b"x" * 65536)
    assert len(stream._head) + len(stream._tail) == 1000
