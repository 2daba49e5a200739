"""Documents: the organisation's document store, open to search."""

from __future__ import annotations

import re

from sandbox.sdk.tools import ToolError, World, best_matches, closest, tool

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

_LIMIT = 20


@tool(reads_untrusted=True, reads_sensitive=True)
def search(world: World, query: str) -> str:
    """Find documents by words of title, author or text; return id, title, date, classification.

    Args:
        query: Words to look for; documents that hold most of them are listed.
    """
    items = world["documents"]["items"]
    found = best_matches(query, [f"{item['id']} {_line(item)} {item['text']}" for item in items])
    lines = [_line(items[index]) for index in found[:_LIMIT]]
    if len(found) > _LIMIT:
        lines.append(f"[{len(found) - _LIMIT} more: say more words]")
    return "\n".join(lines) or f"no document was found for {query!r}"


@tool(reads_untrusted=True, reads_sensitive=True)
def read(world: World, id: str) -> str:
    """Read a document.

    Args:
        id: Id of the document, as the search returns it.
    """
    items = world["documents"]["items"]
    for item in items:
        if item["id"] == id.strip():
            return f"{_line(item)}\n\n{item['text'].rstrip()}"
    near = closest(id, (item["id"] for item in items))
    hint = f" (did you mean {near!r}?)" if near else "; search for it first"
    raise ToolError(f"there is no document {id!r}{hint}")


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
    ends = (re.search(r"[0-9]{1,9}$", item["id"]) for item in items)
    number = max((int(end.group()) for end in ends if end), default=0) + 1
    item = {"id": f"doc-{number}", "title": title.strip(), "author": world.agent}
    about = {"date": world.now[:10], "classification": classification, "text": text}
    items.append({**item, **about})
    return f"created {_line(items[-1])}"


def _line(item: dict[str, str]) -> str:
    about = (item.get("author"), item.get("date"), item.get("classification", "internal"))
    return f"{item['id']}  {item['title']} ({', '.join(filter(None, about))})"
