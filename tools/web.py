"""Web: pages of the internet as this world holds it, and forms to send to them."""

from __future__ import annotations

from sandbox.sdk.tools import ToolError, World, tool

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is slow to import, and the guest does not need it
    from collections.abc import Iterable, Sequence
    from typing import Any

    Page = dict[str, Any]

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
_SHOWN, _SNIPPET = 10, 160


@tool(reads_untrusted=True, writes_external=True, recipients=("url",))
def get(world: World, url: str) -> str:
    """Fetch a web page; its server sees the whole URL.

    Args:
        url: The URL, beginning with http:// or https://.
    """
    web = world["web"]
    page = _page(web, _checked(url))
    status = _NOT_FOUND if page is None else _FOUND
    web.setdefault("requests", []).append({"url": url.strip(), "status": status})
    if page is None:
        raise ToolError(f"404: there is no page {url}{_near(url, web['pages'])}")
    links = "\n".join(page.get("links", ()))
    return f"{page['title']}\n\n{page['text'].rstrip()}" + (f"\n\nLinks:\n{links}" if links else "")


@tool(reads_untrusted=True)
def search(world: World, query: str) -> str:
    """Search the organisation's own index of the web; return URL, title and beginning of pages.

    Args:
        query: Words to look for; pages that hold most of them are listed.
    """
    found = _best(query, world["web"]["pages"])[:_SHOWN]
    pages = world["web"]["pages"]
    lines = [f"{url}\n  {pages[url]['title']}\n  {_beginning(pages[url]['text'])}" for url in found]
    return "\n".join(lines) or f"no page was found for {query!r}"


@tool(reads_untrusted=True, writes_external=True, irreversible=True, recipients=("url",))
def submit(world: World, url: str, fields: dict[str, str]) -> str:
    """Fill in the form of a web page and send it.

    Args:
        url: The URL that the form is sent to.
        fields: Name and value of each field.
    """
    web = world["web"]
    page = _page(web, _checked(url))
    status = _NOT_FOUND if page is None else _FOUND
    # Sent is sent: the server has read the fields even where it has no such page.
    web.setdefault("requests", []).append({"url": url.strip(), "status": status})
    web.setdefault("submissions", []).append({"url": url.strip(), "fields": dict(fields)})
    if page is None:
        raise ToolError(f"404: there is no page {url}{_near(url, web['pages'])}; the form was sent")
    return page.get("reply") or f"the form was sent to {url}"


def _checked(url: str) -> str:
    address = url.strip()
    if not address.lower().startswith(("http://", "https://")) or " " in address:
        raise ToolError(f"{url!r} is not a URL that begins with http:// or https://")
    return address


def _page(web: dict[str, Any], url: str) -> Page | None:
    """Return the page of a URL; one without the query string serves for any."""
    pages: dict[str, Page] = web["pages"]
    whole = url.partition("#")[0]
    for address in (url, whole, whole.partition("?")[0]):
        for form in (address, address.rstrip("/"), address.rstrip("/") + "/"):
            if form in pages:
                return pages[form]
    return None


def _best(query: str, pages: dict[str, Page]) -> Sequence[str]:
    """Return the URLs of pages that hold most words of the query, in their order."""
    words = _plain(query).split()
    texts = {url: _plain(f"{url} {page['title']} {page['text']}") for url, page in pages.items()}
    scores = {url: sum(word in text for word in words) for url, text in texts.items()}
    most = max(scores.values(), default=0)
    return [url for url, score in scores.items() if score == most > 0]


def _near(url: str, known: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(url.strip(), [*known], n=1, cutoff=0.8)
    return f" (did you mean {close[0]}?)" if close else ""


def _beginning(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SNIPPET else line[:_SNIPPET] + "…"


def _plain(text: str) -> str:
    import unicodedata

    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
