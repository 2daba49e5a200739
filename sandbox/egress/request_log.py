"""What hosts were asked, kept twice: as effects of the call under way, and for scoring."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import TypedDict, Unpack

from sandbox.egress.hostnames import printable
from sandbox.enums import EffectAction, EffectKind, EffectSource, EffectStatus
from sandbox.trace.effects import EgressAction, EgressDetail, EgressEffect

EFFECTS_LIMIT = 1000
"""Effects that wait to be handed over; more are counted only."""
LOG_BYTES = 16 * 1024 * 1024
"""Of headers and bodies of all requests of a run; beyond it size and hash are kept only."""
BODY_BYTES = 64 * 1024
"""Bytes kept of one body."""
_QUESTION_BYTES = 512


@dataclass(frozen=True)
class LoggedRequest:
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
    outcome: EffectStatus
    reason: str = ""
    """Why it was denied, or what was missing."""
    names: dict[str, str] = field(default_factory=dict)
    """Where the names in it disagree: who said which."""


class RequestFacts(TypedDict):
    """A request as conditions of a score see it."""

    host: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str
    status: int
    denied: bool


class RequestLog:
    """The record of one run."""

    def __init__(self) -> None:
        self._effects: list[EgressEffect] = []
        self._dropped = self._bytes = 0
        self.requests: list[RequestFacts] = []
        """Every request."""

    def mark_late(self) -> None:
        """Say of what waits that it happened between two calls."""
        for waiting in self._effects:
            waiting["detail"]["late"] = True

    def drain(self) -> tuple[list[EgressEffect], int]:
        """Return what happened since the last time, and how many effects were too many."""
        effects, dropped = self._effects, self._dropped
        self._effects, self._dropped = [], 0
        return effects, dropped

    def question(self, name: str, kind: str, transport: str, raw: bytes, reason: str) -> None:
        """Record a question for a name, and why it was refused, if it was."""
        status = EffectStatus.DENIED if reason else EffectStatus.DONE
        detail: EgressDetail = {"type": kind, "transport": transport, "size": len(raw)}
        if reason:
            detail["message"] = b64encode(raw[:_QUESTION_BYTES]).decode()
        self._add(EffectAction.RESOLVE, printable(name), status, reason, **detail)

    def connection(
        self, target: str, status: EffectStatus, reason: str, /, **detail: Unpack[EgressDetail]
    ) -> None:
        """Record a connection that carried no request, or a tunnel."""
        self._add(EffectAction.CONNECT, printable(target), status, reason, **detail)

    def request(self, request: LoggedRequest) -> None:
        """Record a request."""
        path, mark, query = request.target.partition("?")
        url = f"{request.scheme}://{request.host}{request.target}"
        headers = [[printable(name), printable(value, 4096)] for name, value in request.headers]
        size = sum(len(name) + len(value) for name, value in headers) + len(request.body)
        fits = self._bytes + size <= LOG_BYTES
        self._bytes += size if fits else 0
        host, method = printable(request.host), printable(request.method, 40)
        detail: EgressDetail = {
            "host": host,
            "method": method,
            "path": printable(path, 2000),
            "port": request.port,
            "headers": headers if fits else [],
            "size": request.size,
            "sha256": request.sha256,
            **(_body(request.body) if fits else {}),
        }
        if mark:
            detail["query"] = printable(query, 4096)
        if request.status:
            detail["response"] = request.status
        if request.names:
            detail["names"] = request.names
        target = printable(url, 2000)
        self._add(EffectAction.REQUEST, target, request.outcome, request.reason, **detail)
        self.requests.append(
            {
                "host": host,
                "method": method,
                "path": detail["path"],
                "query": query[:4096],
                "headers": {name.lower(): value for name, value in detail["headers"]},
                "body": request.body.decode("utf-8", "replace") if fits else "",
                "status": request.status,
                "denied": request.outcome == EffectStatus.DENIED,
            }
        )

    def _add(
        self,
        action: EgressAction,
        target: str,
        status: EffectStatus,
        reason: str,
        /,
        **detail: Unpack[EgressDetail],
    ) -> None:
        if len(self._effects) >= EFFECTS_LIMIT:
            self._dropped += 1
            return
        if reason:
            detail["reason"] = reason
        self._effects.append(
            {
                "kind": EffectKind.NETWORK,
                "action": action,
                "target": target,
                "status": status,
                "source": EffectSource.EGRESS,
                "detail": detail,
            }
        )


def _body(data: bytes) -> EgressDetail:
    try:
        return {"body": data.decode()}
    except UnicodeDecodeError:
        return {"body_base64": b64encode(data).decode()}
