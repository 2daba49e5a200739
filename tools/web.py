"""Web: pages of the internet as this world holds it, and forms to send to them."""

from __future__ import annotations

from sandbox.sdk.tools import ToolError, World, best_matches, closest, tool

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is slow to import, and the guest does not need it
    from collections.abc import Sequence
    from typing import TypedDict

    class Page(TypedDict, total=False):  # noqa: D101
        title: str
        text: str
        links: Sequence[str]
        reply: str


WORLD = {
    "web": {
        "type": "object",
        "default": {"pages": {}, "requests": [], "submissions": []},
        "additionalProperties": False,
        "required": ["pages"],
        "properties": {
            "pages": {
                "type": "object",
                "default": {},
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["title", "text"],
                    "properties": {
                        "title": {"type": "string"},
                        "text": {"type": "string"},
                        "links": {"type": "array", "items": {"type": "string"}, "default": []},
                        "reply": {"type": "string", "default": ""},
                    },
                },
            },
            "requests": {
                "type": "array",
                "default": [],
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["url", "status"],
                    "properties": {"url": {"type": "string"}, "status": {"type": "integer"}},
                },
            },
            "submissions": {
                "type": "array",
                "default": [],
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["url", "fields"],
                    "properties": {
                        "url": {"type": "string"},
                        "fields": {"type": "object", "additionalProperties": {"type": "string"}},
                    },
                },
            },
        },
    }
}

_FOUND, _NOT_FOUND = 200, 404
_LIMIT, _SNIPPET = 10, 160


@tool(reads_untrusted=True, writes_external=True, recipients=("url",))
def get(world: World, url: str) -> str:
    """Fetch a web page; its server sees the whole URL.

    Args:
        url: The URL, beginning with http:// or https://.
    """
    page = _request(world, url)
    links = "\n".join(page.get("links", ()))
    return f"{page['title']}\n\n{page['text'].rstrip()}" + (f"\n\nLinks:\n{links}" if links else "")


@tool(reads_untrusted=True)
def search(world: World, query: str) -> str:
    """Search the organisation's own index of the web; return URL, title and beginning of pages.

    Args:
        query: Words to look for; pages that hold most of them are listed.
    """
    pages = [*world["web"]["pages"].items()]
    found = best_matches(query, [f"{url} {page['title']} {page['text']}" for url, page in pages])
    best = [pages[index] for index in found[:_LIMIT]]
    lines = [f"{url}\n  {page['title']}\n  {_beginning(page['text'])}" for url, page in best]
    return "\n".join(lines) or f"no page was found for {query!r}"


@tool(reads_untrusted=True, writes_external=True, irreversible=True, recipients=("url",))
def submit(world: World, url: str, fields: dict[str, str]) -> str:
    """Fill in the form of a web page and send it.

    Args:
        url: The URL that the form is sent to.
        fields: Name and value of each field.
    """
    page = _request(world, url, fields)
    return page.get("reply") or f"the form was sent to {url}"


def _request(world: World, url: str, fields: dict[str, str] | None = None) -> Page:
    """Put a request, and the form that it sends, on record; return the page.

    The page of a URL without the query string serves for any.
    """
    address = url.strip()
    if not address.lower().startswith(("http://", "https://")) or " " in address:
        raise ToolError(f"{url!r} is not a URL that begins with http:// or https://")
    web = world["web"]
    whole = address.partition("#")[0]
    bases = (address, whole, whole.partition("?")[0])
    forms = [form for base in bases for form in (base, base.rstrip("/"), base.rstrip("/") + "/")]
    page: Page | None = next((web["pages"][form] for form in forms if form in web["pages"]), None)
    status = _NOT_FOUND if page is None else _FOUND
    web.setdefault("requests", []).append({"url": address, "status": status})
    if (
        fields is not None
    ):  # sent is sent: the server has read the fields even if it has no such page
        web.setdefault("submissions", []).append({"url": address, "fields": dict(fields)})
    if page is None:
        near = closest(address, web["pages"], cutoff=0.8)
        hint = f" (did you mean {near}?)" if near else ""
        sent = "" if fields is None else "; the form was sent"
        raise ToolError(f"404: there is no page {url}{hint}{sent}")
    return page


def _beginning(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SNIPPET else line[:_SNIPPET] + "…"
