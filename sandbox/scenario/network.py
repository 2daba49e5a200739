"""The network of a world: which hosts exist for the agent, and what each of them serves."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, TypedDict

from pydantic import Field, model_validator

from sandbox.scenario.canaries import plant_bytes
from sandbox.scenario.localized_text import Text, in_language
from sandbox.scenario.validation import Strict

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)$")

HostName = Annotated[
    str, Field(pattern=rf"^(?:\*\.)?{_LABEL}(?:\.{_LABEL})*$", max_length=253, title="host name")
]
"""In lower case, an international name in its ``xn--`` form; ``*.`` in front for one more label."""
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class HttpRoute(Strict):
    """One answer to one kind of request."""

    method: Method = "GET"
    """A route for GET answers HEAD as well."""
    path: str = Field(pattern=r"^/[!-~]*$")
    """As a client writes it, without the query."""
    status: int = Field(200, ge=200, le=599)
    """HTTP status of the answer."""
    type: str = Field("text/plain; charset=utf-8", pattern=r"^[ -~]+$")
    """Content type of the answer."""
    body: Text = Field(default_factory=lambda: {"en": ""})
    """Text of the answer."""


class Host(Strict):
    """What one host serves: routes first, then pages, then whatever it accepts."""

    pages: str | None = None
    """Folder of the scenario whose files it serves."""
    accept: bool = False
    """HttpResponse any method and path that nothing else answers, and keep what was sent."""
    reply: Text = Field(default_factory=lambda: {"en": "ok"})
    """What ``accept`` answers with."""
    routes: tuple[HttpRoute, ...] = ()
    """Answers to single paths."""

    @model_validator(mode="after")
    def _serves(self) -> Host:
        if not (self.pages or self.accept or self.routes):
            raise ValueError("a host serves something: pages, routes or accept")
        if "reply" in self.model_fields_set and not self.accept:
            raise ValueError("'reply' is what 'accept: true' answers with")
        if len({(route.method, route.path) for route in self.routes}) < len(self.routes):
            raise ValueError("routes: one method and path stands twice")
        return self


class Network(Strict):
    """The hosts that exist; every other name and address does not."""

    hosts: dict[HostName, Host] = Field(min_length=1)
    """Host name → what it serves."""

    @model_validator(mode="after")
    def _names(self) -> Network:
        for name in self.hosts:
            last = name.rsplit(".", 1)[-1]
            if _NUMBER.match(last):
                raise ValueError(f"hosts: {name} is an address, not a name")
            if last == "localhost":
                raise ValueError(f"hosts: {name} is the container itself")
        return self


@dataclass(frozen=True)
class HttpResponse:
    """What is sent back for a request."""

    status: int
    type: str
    body: bytes


@dataclass(frozen=True)
class HostData:
    """What one host serves in one language."""

    routes: Mapping[tuple[str, str], HttpResponse] = field(default_factory=dict)
    """Method and path → answer."""
    pages: Mapping[str, bytes] = field(default_factory=dict)
    """Path below the root, without the first slash → content."""
    reply: bytes | None = None
    """HttpResponse to everything else; None if it has none."""


NetworkData = Mapping[str, HostData]
"""Host name → what it serves."""


_Bytes = str | dict[Literal["hex"], str]
"""A body in evidence: its text, or its bytes in hex if it is no text."""


class HostRecord(TypedDict):
    """A host as evidence and digests hold it."""

    routes: list[tuple[str, str, int, str, _Bytes]]
    """Method, path, status, content type and body of each."""
    pages: dict[str, _Bytes]
    reply: _Bytes | None


def data_of(network: Network, pages: Mapping[str, Mapping[str, bytes]], lang: str) -> NetworkData:
    """Return a network in one language.

    Args:
        network: As declared.
        pages: Host → its pages.
        lang: The language.
    """

    def response(route: HttpRoute) -> HttpResponse:
        return HttpResponse(route.status, route.type, in_language(route.body, lang).encode())

    return {
        name: HostData(
            routes={(route.method, route.path): response(route) for route in host.routes},
            pages=pages.get(name, {}),
            reply=in_language(host.reply, lang).encode() if host.accept else None,
        )
        for name, host in network.hosts.items()
    }


def plant_network(network: NetworkData, canaries: Mapping[str, str]) -> NetworkData:
    """Return a network with the canaries of a run in its texts."""
    return {
        name: HostData(
            {k: replace(a, body=plant_bytes(a.body, canaries)) for k, a in host.routes.items()},
            {path: plant_bytes(data, canaries) for path, data in host.pages.items()},
            None if host.reply is None else plant_bytes(host.reply, canaries),
        )
        for name, host in network.items()
    }


def texts(network: NetworkData) -> list[bytes]:
    """Return all that the hosts can answer, for checks on its content."""
    found = [a.body for host in network.values() for a in host.routes.values()]
    found += [data for host in network.values() for data in host.pages.values()]
    return found + [host.reply for host in network.values() if host.reply is not None]


def as_text(network: NetworkData) -> str:
    """Return a network as one text, the same for the same content: for evidence and digests."""
    records: dict[str, HostRecord] = {
        name: {
            "routes": [(*key, a.status, a.type, _text(a.body)) for key, a in host.routes.items()],
            "pages": {path: _text(data) for path, data in sorted(host.pages.items())},
            "reply": None if host.reply is None else _text(host.reply),
        }
        for name, host in sorted(network.items())
    }
    return json.dumps(records)


def from_records(records: Mapping[str, HostRecord]) -> NetworkData:
    """Return a network from the data of its text; see :func:`as_text`."""
    return {
        name: HostData(
            {
                (method, path): HttpResponse(status, kind, _raw(body))
                for method, path, status, kind, body in host["routes"]
            },
            {path: _raw(data) for path, data in host["pages"].items()},
            None if host["reply"] is None else _raw(host["reply"]),
        )
        for name, host in records.items()
    }


def _raw(body: _Bytes) -> bytes:
    return body.encode() if isinstance(body, str) else bytes.fromhex(body["hex"])


def _text(data: bytes) -> _Bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"hex": data.hex()}
