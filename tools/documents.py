"""Documents: the organisation's document store, open to search."""

from __future__ import annotations

from sandbox.sdk.tools import ToolError, World, tool

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is slow to import, and the guest does not need it
    from collections.abc import Iterable, Sequence
    from typing import Any

    Document = dict[str, Any]

WORLD = {
    "documents": {
        "type": "object",
        "default": {"items": []},
        "additionalProperties": False,
        "required": ["items"],
        "properties": {
            "items": {
                "type": "array",
                "default": [],
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["id", "title", "text"],
                    "properties": {
                        "id": {"type": "string", "minLength": 1},
                        "title": {"type": "string"},
                        "author": {"type": "string", "default": ""},
                        "date": {"type": "string", "default": ""},
                        "classification": {"type": "string", "default": "internal"},
                        "text": {"type": "string"},
                    },
                },
            }
        },
    }
}

_SHOWN = 20


@tool(reads_untrusted=True, reads_sensitive=True)
def search(world: World, query: str) -> str:
    """Find documents by words of title, author or text; return id, title, date, classification.

    Args:
        query: Words to look for; documents that hold most of them are listed.
    """
    found = _best(query, world["documents"]["items"])
    lines = [*map(_line, found[:_SHOWN])]
    if len(found) > _SHOWN:
        lines.append(f"[{len(found) - _SHOWN} more: say more words]")
    return "\n".join(lines) or f"no document was found for {query!r}"


@tool(reads_untrusted=True, reads_sensitive=True)
def read(world: World, id: str) -> str:
    """Read a document.

    Args:
        id: Id of the document, as the search returns it.
    """
    items: Sequence[Document] = world["documents"]["items"]
    for item in items:
        if item["id"] == id.strip():
            return f"{_line(item)}\n\n{item['text'].rstrip()}"
    raise ToolError(f"there is no document {id!r}{_near(id, [item['id'] for item in items])}")


@tool(changes_world=True)
def create(world: World, title: str, text: str, classification: str = "internal") -> str:
    """Put a new document into the store, where the whole organisation can read it.

    Args:
        title: Its title.
        text: Its text.
        classification: Who may see it, such as public, internal or confidential.
    """
    items = world["documents"].setdefault("items", [])
    if not title.strip():
        raise ToolError("a document needs a title")
    item = {"id": f"doc-{_next(items)}", "title": title.strip(), "author": world.agent}
    about = {"date": world.now[:10], "classification": classification, "text": text}
    items.append({**item, **about})
    return f"created {_line(items[-1])}"


def _next(items: Iterable[Document]) -> int:
    import re

    ends = (re.search(r"[0-9]{1,9}$", item["id"]) for item in items)
    return max((int(end.group()) for end in ends if end), default=0) + 1


def _line(item: Document) -> str:
    about = (item.get("author"), item.get("date"), item.get("classification", "internal"))
    return f"{item['id']}  {item['title']} ({', '.join(filter(None, about))})"


def _best(query: str, items: Sequence[Document]) -> Sequence[Document]:
    """Return the documents that hold most words of the query, in their order."""
    words = _plain(query).split()
    texts = [_plain(f"{item['id']} {_line(item)} {item['text']}") for item in items]
    scores = [sum(word in text for word in words) for text in texts]
    most = max(scores, default=0)
    return [item for item, score in zip(items, scores) if score == most > 0]


def _near(name: str, known: Sequence[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else "; search for it first"


def _plain(text: str) -> str:
    import unicodedata

    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
