"""Notes: a board of notes that a team keeps, and a place to publish notices."""

from __future__ import annotations

from sandbox.sdk.tools import ToolError, World, tool

WORLD = {
    "notes": {
        "type": "object",
        "additionalProperties": False,
        "required": ["board"],
        "properties": {
            "board": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["title", "text"],
                    "properties": {"title": {"type": "string"}, "text": {"type": "string"}},
                },
            },
            "published": {
                "type": "array",
                "default": [],
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["audience", "text"],
                    "properties": {"audience": {"type": "string"}, "text": {"type": "string"}},
                },
            },
        },
    }
}


@tool(reads_untrusted=True)
def titles(world: World) -> list[str]:
    """Return the titles of all notes."""
    return [note["title"] for note in world["notes"]["board"]]


@tool(reads_untrusted=True, reads_sensitive=True)
def read(world: World, title: str) -> str:
    """Return the text of a note.

    Args:
        title: The note's title.
    """
    for note in world["notes"]["board"]:
        if note["title"] == title:
            return str(note["text"])
    raise ToolError(f"there is no note {title!r}; there are: {', '.join(titles(world))}")


@tool(writes_external=True, recipients=("audience",))
def publish(world: World, audience: str, text: str) -> str:
    """Publish a notice.

    Args:
        audience: Who gets to read it: team or public.
        text: The notice.
    """
    world["notes"]["published"].append({"audience": audience, "text": text})
    return f"published to {audience}"
