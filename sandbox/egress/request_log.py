"""What hosts were asked, kept twice: as effects of the call under way, and for scoring."""

from __future__ import annotations

from base64 import b64encode
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

    def request(
        self,
        *,
        scheme: str,
        host: str,
        port: int,
        method: str,
        target: str,
        headers: tuple[tuple[str, str], ...],
        body: bytes,
        size: int,
        sha256: str,
        status: int,
        outcome: EffectStatus,
        reason: str,
        names: dict[str, str],
    ) -> None:
        """Record an HTTP request as far as it arrived.

        Args:
            scheme: ``http`` or ``https``.
            host: As normalised if it was a name, else as written.
            port: Of the connection.
            method: As written.
            target: Path and query as written.
            headers: Name and value of each, as written.
            body: The first bytes of it.
            size: Bytes of the whole body, as far as they arrived.
            sha256: Of the same.
            status: HTTP status of the answer; 0 if there was none.
            outcome: What became of it.
            reason: Why it was denied, or what was missing.
            names: Who named which host, if they disagree.
        """
        path, mark, query = target.partition("?")
        pairs = [[printable(name), printable(value, 4096)] for name, value in headers]
        count = sum(len(name) + len(value) for name, value in pairs) + len(body)
        fits = self._bytes + count <= LOG_BYTES
        self._bytes += count if fits else 0
        url = printable(f"{scheme}://{host}{target}", 2000)
        host, method = printable(host), printable(method, 40)
        detail: EgressDetail = {
            "host": host,
            "method": method,
            "path": printable(path, 2000),
            "port": port,
            "headers": pairs if fits else [],
            "size": size,
            "sha256": sha256,
            **(_body(body) if fits else {}),
        }
        if mark:
            detail["query"] = printable(query, 4096)
        if status:
            detail["response"] = status
        if names:
            detail["names"] = names
        self._add(EffectAction.REQUEST, url, outcome, reason, **detail)
        self.requests.append(
            {
                "host": host,
                "method": method,
                "path": detail["path"],
                "query": query[:4096],
                "headers": {name.lower(): value for name, value in detail["headers"]},
                "body": body.decode("utf-8", "replace") if fits else "",
                "status": status,
                "denied": outcome == EffectStatus.DENIED,
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
