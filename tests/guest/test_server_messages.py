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

from sandbox.guest import server
from sandbox.guest.server import Guest, MethodError, _answer, _message, _read_regular, _send


class Methods:
    """The part of a guest that answers: what each method does."""

    def __init__(self) -> None:
        self.methods = {"echo": dict, "fail": self.fail, "refuse": self.refuse}

    def fail(self) -> dict[str, Any]:
        """Fail as a bug would."""
        raise LookupError("lost")

    def refuse(self) -> dict[str, Any]:
        """Refuse as a method does on purpose."""
        raise MethodError(-32001, "no")


GUEST = cast("Guest", Methods())


def request(method: str, **more: Any) -> bytes:
    """Return a request as a line."""
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, **more}).encode()


def test_a_request_is_answered_under_its_id() -> None:
    """The reply carries the result and the id of the request."""
    reply = _answer(GUEST, _message(request("echo", params={"a": 1})))
    assert reply == {"jsonrpc": "2.0", "id": 7, "result": {"a": 1}}


def test_a_notification_is_not_answered() -> None:
    """A message without an id wants no reply."""
    assert _answer(GUEST, _message(b'{"jsonrpc": "2.0", "method": "echo"}')) is None


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
    reply = _answer(GUEST, _message(request(method)))
    assert reply is not None
    assert {"code": code, "message": message} == reply["error"]


@pytest.mark.parametrize("line", [b"", b"{", b"5", b"[]", b"null", b'"x"', b"\xff", b'{"id": 1}'])
def test_a_line_that_is_no_request_is_a_parse_error(line: bytes) -> None:
    """Broken input is answered, not a crash."""
    reply = _answer(GUEST, _message(line))
    assert reply is not None
    assert reply["error"] == {"code": -32700, "message": "parse error"}


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


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the agent's own."""
    monkeypatch.setattr(server, "HOME", str(tmp_path))
    return tmp_path


def test_a_regular_file_is_read(home: Path) -> None:
    """A file within the limit is handed out as it is."""
    (home / "a").write_bytes(b"\0\xff")
    assert _read_regular(f"{home}/a", 2) == b"\0\xff"


REFUSED = {
    "large": "larger than 2 bytes",
    "link": "Too many levels of symbolic links",
    "pipe": "is not a regular file",
    "folder": "is not a regular file",
    "outside/passwd": "Not a directory",
    "nothing": "No such file or directory",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_file_of_the_agents_is_refused(name: str, home: Path) -> None:
    """Links on any part of a path, pipes and folders are refused at once, and so is size."""
    (home / "large").write_bytes(b"123")
    (home / "link").symlink_to("/etc/passwd")
    (home / "outside").symlink_to("/etc")
    (home / "folder").mkdir()
    os.mkfifo(home / "pipe")
    with pytest.raises(MethodError, match=REFUSED[name]):
        _read_regular(f"{home}/{name}", 2)


@pytest.mark.parametrize("path", ["/etc/passwd", "/work", "/workshop/a"])
def test_a_path_outside_the_agents_folder_is_refused(path: str) -> None:
    """The engine's own access to files ends at the agent's folder."""
    with pytest.raises(MethodError, match="is not below /work"):
        _read_regular(path, 100)
