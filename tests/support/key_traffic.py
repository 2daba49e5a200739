"""Asks every provider that the sandbox knows, with all keys set, and writes down what goes where.

A program of its own, since LiteLLM reads the environment all the time. Every name of a host leads to
servers on loopback, so nothing leaves the machine. Prints a JSON line for each question.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import re
import socket
import ssl
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sandbox.egress.certificates import Authority
from sandbox.errors import InputError, ModelError
from sandbox.models.base import ModelRequest
from sandbox.models.families import FAMILIES
from sandbox.models.resolve import unbound

MARK = re.compile(r"mark-([A-Za-z0-9_]+)-mark")
LAB = "LAB_AUTH"
_MODEL = {"huggingface": "a/b", "bedrock": "anthropic.claude-3-haiku-20240307-v1:0"}
OTHER_WAYS = (
    "openai/responses/test",
    "openai/o3-pro",
    "azure/responses/test",
    "azure/command-r-plus",
    "azure/mistral-large-latest",
    "azure_ai/claude-3",
    "anthropic/claude-2",
    "cohere/command-r-plus",
    "xai/responses/test",
    "gemini/gemini-2.5-pro",
    "mistral/codestral-latest",
    "ollama/llava",
)
"""Models for which LiteLLM takes another way than for others of their provider."""
_CREDENTIAL = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|_ORG|PROJECT|HEADERS|JWT|USERNAME|CLIENT_ID|ACCOUNT|TENANT"
)
_PLACE = re.compile(r"(API_BASE|BASE_URL|_URL|ENDPOINT|_HOST)$")
_OTHER = re.compile(r"(_HOURS|_DIRS?|_PATH|_FILE)$|LITELLM_(LOCAL|MODE)")
_NUMBER = re.compile(
    r"""(?:int|float|bool)\(\s*(?:os\.)?(?:getenv|environ\.get)\(\s*["']([A-Z0-9_]+)"""
)
_READ = re.compile(r"""["']([A-Z][A-Z0-9]*_[A-Z0-9_]+)["']""")
_ANSWER = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


def model_of(family: str) -> str:
    """Return the name of a model of a family."""
    return f"{family}/{_MODEL.get(family, 'test')}"


def variables() -> tuple[set[str], set[str]]:
    """Return the variables in the code of LiteLLM and OpenAI's package: for credentials, for addresses."""
    names: set[str] = set()
    numbers: set[str] = set()
    for package in ("litellm", "openai"):
        spec = find_spec(package)
        assert spec
        assert spec.origin
        home = Path(spec.origin).parent
        for file in (*home.rglob("*.py"), *home.rglob("providers.json")):
            if "proxy" not in file.relative_to(home).parts[:1]:
                text = file.read_text("utf-8", "replace")
                names.update(_READ.findall(text))
                numbers.update(_NUMBER.findall(text))  # a text would break LiteLLM
    usable = {name for name in names - numbers if not _OTHER.search(name)}
    return (
        {n for n in usable if _CREDENTIAL.search(n) and not _PLACE.search(n)},
        {n for n in usable if _PLACE.search(n) and "PROXY" not in n.replace("LITELLM_PROXY", "")},
    )


class _Handler(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        text = f"{self.path} {dict(self.headers.items())} {self.rfile.read(length)!r}"
        for basic in re.findall(r"Basic ([A-Za-z0-9+/=]+)", text):
            text += base64.b64decode(basic).decode("utf-8", "replace")
        server: Any = self.server
        host = str(self.headers.get("Host")).partition(":")[0]
        server.seen.append({"host": host, "path": self.path, "text": text})
        body = json.dumps(_ANSWER).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 - named by the base class

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the base class
        """Say nothing."""


def _server(seen: list[dict[str, str]], context: ssl.SSLContext | None = None) -> int:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.seen = seen  # type: ignore[attr-defined]
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


def _all_here(plain: int, secure: int) -> None:
    """Let every name of a host lead here."""
    found = socket.getaddrinfo

    def here(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        known = {plain: plain, secure: secure, 443: secure, "443": secure, "https": secure}
        return found("127.0.0.1", known.get(port, plain), *more, **named)

    socket.getaddrinfo = here


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


async def _asked(seen: list[dict[str, str]], name: str) -> dict[str, Any]:
    """Ask a model; return what went where, and how it ended."""
    seen.clear()
    problem = ""
    try:
        model = unbound(name)
        request = ModelRequest("a", 0, [{"role": "user", "content": "hi"}], ())
        await asyncio.wait_for(model.complete(request, lambda *_: None), 600)
    except (InputError, ModelError) as error:
        problem = f"{type(error).__name__}: {error}"
    return {
        "problem": problem,
        "sent": [
            {"host": s["host"], "path": s["path"], "marks": sorted(set(MARK.findall(s["text"])))}
            for s in seen
        ],
    }


async def main() -> None:
    """Ask; print."""
    credentials, places = variables()
    seen: list[dict[str, str]] = []
    plain = _server(seen)
    _all_here(plain, _server(seen, Authority().context("everywhere.example")))
    os.environ.update({name: f"mark-{name}-mark" for name in (*credentials, LAB)})
    os.environ["OPENAI_CUSTOM_HEADERS"] = "X-Lab: mark-OPENAI_CUSTOM_HEADERS-mark"
    lab = f"http://127.0.0.1:{plain}/v1"
    _tell({"credentials": sorted(credentials), "places": sorted(places)})

    async def ask(how: str, name: str, more: str = "") -> None:
        found = await _asked(seen, f"{name}?attempts=1&timeout=60{more}")
        _tell({"model": name, "how": how, **found})

    for family, known in FAMILIES.items():
        model = model_of(family)
        if known.signs:
            await ask("signed", model, f"&base_url={lab}")
        with _without(() if known.bound else known.signs):
            await ask("elsewhere", model, f"&base_url={lab}")
            await ask("named", model, f"&base_url={lab}&api_key_env={LAB}")
            await ask("home", model)
            with _without(known.keys):
                await ask("keyless", model)
            with _placed({place: f"{lab}/place-{place}" for place in places}):
                await ask("placed", model)
    with _without(FAMILIES["azure"].signs):
        for model in OTHER_WAYS:
            await ask("elsewhere", model, f"&base_url={lab}")


@contextmanager
def _placed(places: Mapping[str, str]) -> Iterator[None]:
    os.environ.update(places)
    try:
        yield
    finally:
        for name in places:
            del os.environ[name]


def _tell(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(main())
    os._exit(0)  # LiteLLM's threads would be waited for
