"""A real OpenAI-compatible HTTP server on loopback, scripted by a list of behaviours."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, cast

Behaviour = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers each request with the next behaviour; the last one is repeated."""

    protocol_version = "HTTP/1.1"
    body: dict[str, Any]
    """What was asked with the request at hand."""

    def do_POST(self) -> None:
        """Answer a request for a completion."""
        server = cast("_Server", self.server)
        body = self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.requests.append(body)
            server.paths.append(self.path)
            server.headers.append({k.lower(): v for k, v in self.headers.items()})
            behave = server.script.pop(0) if len(server.script) > 1 else server.script[0]
        behave(self)

    def send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        """Send one whole answer."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.script: list[Behaviour] = []
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.released = threading.Event()


class ChatServer:
    """The server, its script and what it was asked."""

    def __init__(self) -> None:
        self._server = _Server()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The bodies of all requests so far."""
        return self._server.requests

    @property
    def paths(self) -> list[str]:
        """The paths of all requests so far."""
        return self._server.paths

    @property
    def headers(self) -> list[dict[str, str]]:
        """The headers of all requests so far, by names in small letters."""
        return self._server.headers

    def does(self, *behaviours: Behaviour) -> None:
        """Script what the next requests get."""
        self._server.script = list(behaviours)

    def model(self, name: str = "openai/test", **parameters: object) -> str:
        """Return what stands behind ``--model`` to reach this server."""
        port = self._server.server_address[1]
        given = {
            "base_url": f"http://127.0.0.1:{port}/v1",
            "attempts": 3,
            "timeout": 2,
            **parameters,
        }
        return name + "?" + "&".join(f"{key}={value}" for key, value in given.items())


def reply(text: str | None = "Hello.", *calls: dict[str, Any], **more: Any) -> Behaviour:
    """Answer with a message; ``usage`` and ``finish`` may be given, the rest joins the message."""
    usage = more.pop("usage", {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10})
    finish = more.pop("finish", "tool_calls" if calls else "stop")
    message = {"role": "assistant", "content": text, **more}
    if calls:
        message["tool_calls"] = list(calls)
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return raw(200, {**_ENVELOPE, "choices": [choice], "usage": usage})


_ENVELOPE = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "test-1"}


def tool_call(name: str, arguments: Any, call_id: str = "call_1") -> dict[str, Any]:
    """Return a call as providers write it; ``arguments`` may be text of any kind."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}


def raw(status: int, body: Any, kind: str = "application/json") -> Behaviour:
    """Answer with a status and a body as it is, or as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda handler: handler.send(status, data, kind)


def failure(status: int, message: str = "no") -> Behaviour:
    """Answer with an error as OpenAI words it."""
    return raw(status, {"error": {"message": message, "type": "error", "code": None}})


def no_choice() -> Behaviour:
    """Answer soundly, but with no choice in it."""
    return raw(
        200, {**_ENVELOPE, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 0}}
    )


def hang(handler: Handler) -> None:
    """Never answer, until the server is closed."""
    cast("_Server", handler.server).released.wait(30)
    handler.close_connection = True
