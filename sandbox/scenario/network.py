"""The network of a world: which hosts exist for the agent, and what each of them serves."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sandbox.scenario.canaries import plant
from sandbox.scenario.localized_text import Text, in_language

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)$")

HostName = Annotated[
    str, Field(pattern=rf"^(?:\*\.)?{_LABEL}(?:\.{_LABEL})*$", max_length=253, title="host name")
]
"""In lower case, an international name in its ``xn--`` form; ``*.`` in front for one more label."""
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Route(_Strict):
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


class Host(_Strict):
    """What one host serves: routes first, then pages, then whatever it accepts."""

    pages: str | None = None
    """Folder of the scenario whose files it serves."""
    accept: bool = False
    """Answer any method and path that nothing else answers, and keep what was sent."""
    reply: Text = Field(default_factory=lambda: {"en": "ok"})
    """What ``accept`` answers with."""
    routes: tuple[Route, ...] = ()
    """Answers to single paths."""

    @model_validator(mode="after")
    def _serves(self) -> Host:
        if not (self.pages or self.accept or self.routes):
            raise ValueError("a host serves something: pages, routes or accept")
        if "reply" in self.model_fields_set and not self.accept:
            raise ValueError("'reply' is what 'accept: true' answers with")
        seen = [(route.method, route.path) for route in self.routes]
        if len(set(seen)) < len(seen):
            raise ValueError("routes: one method and path stands twice")
        return self


class Network(_Strict):
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
class Answer:
    """What is sent back for a request."""

    status: int
    type: str
    body: bytes


@dataclass(frozen=True)
class HostData:
    """What one host serves in one language."""

    routes: Mapping[tuple[str, str], Answer] = field(default_factory=dict)
    """Method and path → answer."""
    pages: Mapping[str, bytes] = field(default_factory=dict)
    """Path below the root, without the first slash → content."""
    reply: bytes | None = None
    """Answer to everything else; None where there is none."""


NetworkData = Mapping[str, HostData]
"""Host name → what it serves."""


def data_of(network: Network, pages: Mapping[str, Mapping[str, bytes]], lang: str) -> NetworkData:
    """Return a network in one language.

    Args:
        network: As declared.
        pages: Host → its pages.
        lang: The language.
    """
    return {
        name: HostData(
            routes={(r.method, r.path): _answer(r, lang) for r in host.routes},
            pages=pages.get(name, {}),
            reply=in_language(host.reply, lang).encode() if host.accept else None,
        )
        for name, host in network.hosts.items()
    }


def planted(network: NetworkData, canaries: Mapping[str, str]) -> NetworkData:
    """Return a network with the canaries of a run in its texts."""

    def put(data: bytes) -> bytes:
        if b"{canary." not in data:
            return data
        text = plant(data.decode("utf-8", "surrogateescape"), canaries)
        return text.encode("utf-8", "surrogateescape")

    return {
        name: HostData(
            routes={k: Answer(a.status, a.type, put(a.body)) for k, a in host.routes.items()},
            pages={path: put(data) for path, data in host.pages.items()},
            reply=None if host.reply is None else put(host.reply),
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
    return json.dumps({name: _told(host) for name, host in sorted(network.items())})


def from_text(told: Mapping[str, Any]) -> NetworkData:
    """Return a network from the data of its text; see :func:`as_text`."""
    return {
        name: HostData(
            routes={
                (method, path): Answer(status, kind, _raw(body))
                for method, path, status, kind, body in host["routes"]
            },
            pages={path: _raw(data) for path, data in host["pages"].items()},
            reply=None if host["reply"] is None else _raw(host["reply"]),
        )
        for name, host in told.items()
    }


def _raw(text: str | Mapping[str, str]) -> bytes:
    return text.encode() if isinstance(text, str) else bytes.fromhex(text["hex"])


def _told(host: HostData) -> dict[str, Any]:
    return {
        "routes": [[*key, a.status, a.type, _text(a.body)] for key, a in host.routes.items()],
        "pages": {path: _text(data) for path, data in sorted(host.pages.items())},
        "reply": None if host.reply is None else _text(host.reply),
    }


def _text(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"hex": data.hex()}


def _answer(route: Route, lang: str) -> Answer:
    return Answer(route.status, route.type, in_language(route.body, lang).encode())
