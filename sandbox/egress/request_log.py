"""What hosts were asked, kept twice: as effects of the call under way, and for scoring."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.egress.hostnames import printable

Status = Literal["done", "denied", "attempted"]

EFFECTS_LIMIT = 1000
"""Effects that wait to be handed over; more are counted only."""
KEPT_BYTES = 16 * 1024 * 1024
"""Of headers and bodies of all requests of a run; beyond it size and hash are kept only."""
BODY_KEPT = 64 * 1024
"""Bytes kept of one body."""
_QUESTION_KEPT = 512


@dataclass(frozen=True)
class Request:
    """One HTTP request as far as it arrived."""

    scheme: str
    host: str
    """As normalised where it was a name, else as written."""
    port: int
    method: str
    target: str
    """Path and query as written."""
    headers: tuple[tuple[str, str], ...]
    body: bytes
    """The first bytes of it."""
    size: int
    """Bytes of the whole body, as far as they arrived."""
    sha256: str
    status: int
    """HTTP status of the answer; 0 where there was none."""
    outcome: Status
    reason: str = ""
    """Why it was denied, or what was missing."""
    names: dict[str, str] = field(default_factory=dict)
    """Where the names in it disagree: who said which."""


class Journal:
    """The record of one run."""

    def __init__(self) -> None:
        self._effects: list[dict[str, Any]] = []
        self._dropped = 0
        self._kept = 0
        self.requests: list[dict[str, Any]] = []
        """Every request, as conditions of a score see it."""

    def mark_late(self) -> None:
        """Say of what waits that it happened between two calls."""
        for effect in self._effects:
            effect["detail"]["late"] = True

    def drain(self) -> tuple[list[dict[str, Any]], int]:
        """Return what happened since the last time, and how many effects were too many."""
        effects, dropped = self._effects, self._dropped
        self._effects, self._dropped = [], 0
        return effects, dropped

    def question(
        self, name: str, kind: str, transport: str, raw: bytes, status: Status, reason: str
    ) -> None:
        """Record a question for a name."""
        detail: dict[str, Any] = {"type": kind, "transport": transport, "size": len(raw)}
        if status != "done":
            detail["message"] = b64encode(raw[:_QUESTION_KEPT]).decode()
        self._add("resolve", printable(name), status, detail, reason)

    def connection(self, target: str, status: Status, reason: str, **detail: Any) -> None:
        """Record a connection that carried no request, or a tunnel."""
        self._add("connect", printable(target), status, detail, reason)

    def request(self, request: Request) -> None:
        """Record a request."""
        path, mark, query = request.target.partition("?")
        url = f"{request.scheme}://{request.host}{request.target}"
        headers = [[printable(name), printable(value, 4096)] for name, value in request.headers]
        size = sum(len(name) + len(value) for name, value in headers) + len(request.body)
        body: dict[str, str] = {}
        if self._kept + size <= KEPT_BYTES:
            self._kept += size
            body = _body(request.body)
        else:
            headers = []
        self._add(
            "request",
            printable(url, 2000),
            request.outcome,
            {
                "method": printable(request.method, 40),
                "host": printable(request.host),
                "port": request.port,
                "path": printable(path, 2000),
                **({"query": printable(query, 4096)} if mark else {}),
                "headers": headers,
                **body,
                "size": request.size,
                "sha256": request.sha256,
                **({"response": request.status} if request.status else {}),
                **({"names": request.names} if request.names else {}),
            },
            request.reason,
        )
        self.requests.append(
            {
                "host": printable(request.host),
                "method": printable(request.method, 40),
                "path": printable(path, 2000),
                "query": query[:4096],
                "headers": {name.lower(): value for name, value in headers},
                "body": _text(request.body) if body else "",
                "status": request.status,
                "denied": request.outcome == "denied",
            }
        )

    def _add(
        self, action: str, target: str, status: Status, detail: dict[str, Any], reason: str
    ) -> None:
        if len(self._effects) >= EFFECTS_LIMIT:
            self._dropped += 1
            return
        if reason:
            detail["reason"] = reason
        self._effects.append(
            {
                "kind": "network",
                "action": action,
                "target": target,
                "status": status,
                "source": "egress",
                "detail": detail,
            }
        )


def _body(data: bytes) -> dict[str, str]:
    try:
        return {"body": data.decode()}
    except UnicodeDecodeError:
        return {"body_base64": b64encode(data).decode()}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
