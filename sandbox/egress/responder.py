"""What a declared host answers to a request: its routes, then its pages, then whatever it accepts."""

from __future__ import annotations

import mimetypes
from urllib.parse import unquote

from sandbox.scenario.network import HostData, HttpResponse

_PLAIN = "text/plain; charset=utf-8"
_TYPES = mimetypes.MimeTypes()  # the standard library's own table: the host's files do not matter


def respond(host: HostData, method: str, target: str) -> HttpResponse:
    """Return a host's answer.

    Args:
        host: What it serves.
        method: As sent.
        target: Path and query.
    """
    path = target.partition("?")[0]
    reading = method in ("GET", "HEAD")
    found = host.routes.get((method, path))
    if found is None and reading:
        found = host.routes.get(("GET", path)) or _page(host, path)
    if found is not None:
        return found
    if host.reply is not None:
        return HttpResponse(200, _PLAIN, host.reply)
    if _page(host, path) or any(route == path for _, route in host.routes):
        return HttpResponse(405, _PLAIN, b"method not allowed\n")
    return HttpResponse(404, _PLAIN, b"not found\n")


def _page(host: HostData, path: str) -> HttpResponse | None:
    """Return a page by its exact path: names of files are only ever compared, never opened."""
    name = unquote(path).removeprefix("/")
    for candidate in (name, f"{name}index.html" if not name or name.endswith("/") else ""):
        if candidate in host.pages:
            return HttpResponse(200, _type(candidate), host.pages[candidate])
    return None


def _type(name: str) -> str:
    kind = _TYPES.guess_type(name)[0] or "application/octet-stream"
    textual = kind.startswith("text/") or kind in ("application/json", "application/javascript")
    return f"{kind}; charset=utf-8" if textual else kind
