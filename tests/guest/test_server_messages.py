"""The guest's messages and file reading, as far as they need no container."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.guest.server import Guest, Refused, _answer, _read_regular, _send


class Methods:
    """The part of a guest that answers: what each method does."""

    def __init__(self) -> None:
        self.methods = {"echo": lambda params: params, "fail": self.fail, "refuse": self.refuse}

    def fail(self, _: dict[str, Any]) -> dict[str, Any]:
        """Fail as a bug would."""
        raise LookupError("lost")

    def refuse(self, _: dict[str, Any]) -> dict[str, Any]:
        """Refuse as a method does on purpose."""
        raise Refused(-32001, "no")


GUEST = cast("Guest", Methods())


def request(method: str, **more: Any) -> bytes:
    """Return a request as a line."""
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, **more}).encode()


def test_a_request_is_answered_under_its_id() -> None:
    """The reply carries the result and the id of the request."""
    reply = _answer(GUEST, request("echo", params={"a": 1}))
    assert reply == {"jsonrpc": "2.0", "id": 7, "result": {"a": 1}}


def test_a_notification_is_not_answered() -> None:
    """A message without an id wants no reply."""
    assert _answer(GUEST, b'{"jsonrpc": "2.0", "method": "echo"}') is None


@pytest.mark.parametrize(
    ("method", "code", "message"),
    [
        ("nothing", -32601, "unknown method: nothing"),
        ("refuse", -32001, "no"),
        ("fail", -32603, "LookupError: lost"),
    ],
)
def test_a_failure_is_an_error_reply(method: str, code: int, message: str) -> None:
    """Whatever a method raises becomes a JSON-RPC error, and the guest goes on."""
    reply = _answer(GUEST, request(method))
    assert reply is not None
    assert {"code": code, "message": message} == reply["error"]


@pytest.mark.parametrize("line", [b"", b"{", b"5", b"[]", b"null", b'"x"', b"\xff", b'{"id": 1}'])
def test_a_line_that_is_no_request_is_a_parse_error(line: bytes) -> None:
    """Broken input is answered, not a crash."""
    reply = _answer(GUEST, line)
    assert reply is not None
    assert reply["error"]["code"] == -32700


@given(st.dictionaries(st.text(), st.text() | st.integers()))
def test_a_message_is_one_line(message: dict[str, Any]) -> None:
    """No text in a message can end its line early: a frame cannot be forged."""
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as lines:
        _send(theirs, message)
        os.close(theirs)
        (line,) = lines.readlines()
    assert message == json.loads(line)


def test_a_message_larger_than_a_pipe_is_sent_whole() -> None:
    """A pipe takes 64 KiB at a time; the rest follows."""
    ours, theirs = os.pipe()
    message = {"text": "x" * 1_000_000}
    sender = threading.Thread(target=_send, args=(theirs, message))
    sender.start()
    with os.fdopen(ours, "rb") as lines:
        line = lines.readline()
    sender.join()
    os.close(theirs)
    assert message == json.loads(line)


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    """A file within the limit is handed out as it is."""
    (tmp_path / "a").write_bytes(b"\0\xff")
    assert _read_regular(str(tmp_path / "a"), 2) == b"\0\xff"


def test_a_file_above_the_limit_is_refused(tmp_path: Path) -> None:
    """A file is never read into memory beyond the limit."""
    (tmp_path / "a").write_bytes(b"123")
    with pytest.raises(Refused, match="larger than 2 bytes"):
        _read_regular(str(tmp_path / "a"), 2)


def test_a_link_is_not_read(tmp_path: Path) -> None:
    """An agent's link does not lead the guest to another file."""
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        _read_regular(str(tmp_path / "link"), 1_000_000)


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    """A pipe is refused at once: the guest does not wait for a writer."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Refused, match="not a regular file"):
        _read_regular(str(tmp_path / "pipe"), 100)


def test_a_folder_is_not_read(tmp_path: Path) -> None:
    """A folder is no file."""
    with pytest.raises((Refused, IsADirectoryError)):
        _read_regular(str(tmp_path), 100)
