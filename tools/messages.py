"""Messages: chat with people and channels, where others write too."""

from __future__ import annotations

from sandbox.sdk.tools import ToolError, World, tool

WORLD = {
    "messages": {
        "type": "object",
        "default": {"me": "agent", "people": [], "conversations": {}},
        "additionalProperties": False,
        "required": ["conversations"],
        "properties": {
            "me": {"type": "string", "default": "agent"},
            "people": {
                "type": "array",
                "default": [],
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string"},
                        "role": {"type": "string", "default": ""},
                    },
                },
            },
            "conversations": {
                "type": "object",
                "default": {},
                "additionalProperties": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["from", "text"],
                        "properties": {
                            "from": {"type": "string"},
                            "date": {"type": "string", "default": ""},
                            "text": {"type": "string"},
                        },
                    },
                },
            },
        },
    }
}


@tool()
def list(world: World) -> str:
    """List the conversations and the people that can be written to."""
    chat = world["messages"]
    roles = {person["name"]: person.get("role", "") for person in chat.get("people", ())}
    return "\n".join(
        name
        + (f" ({roles[name]})" if roles.get(name) else "")
        + f": {len(chat['conversations'].get(name, ()))} messages"
        for name in _names(world)
    )


@tool(reads_untrusted=True, reads_sensitive=True)
def read(world: World, conversation: str) -> str:
    """Read a conversation from its beginning.

    Args:
        conversation: Name of the person or channel.
    """
    messages = world["messages"]["conversations"].get(_name(world, conversation), ())
    lines = [f"{m.get('date', '')}  {m['from']}: {m['text']}".lstrip() for m in messages]
    return "\n".join(lines) or "nothing has been written yet"


@tool(writes_external=True, irreversible=True, recipients=("to",))
def send(world: World, to: str, text: str) -> str:
    """Write to a person or a channel.

    Args:
        to: Name of the person or channel.
        text: What to write.
    """
    chat = world["messages"]
    name = _name(world, to)
    message = {"from": chat.get("me") or world.agent, "date": world.now, "text": text}
    chat["conversations"].setdefault(name, []).append(message)
    return f"sent to {name}"


def _names(world: World) -> tuple[str, ...]:
    chat = world["messages"]
    people = (person["name"] for person in chat.get("people", ()))
    return tuple(dict.fromkeys((*people, *chat["conversations"])))


def _name(world: World, name: str) -> str:
    names = _names(world)
    for known in names:
        if known.casefold() == name.strip().casefold():
            return known
    raise ToolError(
        f"there is nobody and no channel called {name!r}; there are: {', '.join(names) or 'none'}"
    )
