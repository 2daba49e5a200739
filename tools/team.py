"""Team: what the agents of one run write to each other; see ``docs/teams.md``."""

from __future__ import annotations

from sandbox.sdk.tools import ToolError, World, tool

WORLD = {
    "team": {
        "type": "object",
        "default": {"members": {}, "messages": []},
        "additionalProperties": False,
        "properties": {
            "members": {
                "type": "object",
                "default": {},
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["about", "writes_to"],
                    "properties": {
                        "about": {"type": "string"},
                        "writes_to": {"type": "array", "items": {"type": "string"}},
                    },
                },
            },
            "messages": {
                "type": "array",
                "default": [],
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["from", "to", "text"],
                    "properties": {
                        "from": {"type": "string"},
                        "to": {"type": "string"},
                        "date": {"type": "string", "default": ""},
                        "text": {"type": "string"},
                    },
                },
            },
        },
    }
}


@tool()
def members(world: World) -> str:
    """List the colleagues that you can write to, and what they do."""
    known = world["team"]["members"]
    return "\n".join(f"{name}: {known[name]['about']}".rstrip(": ") for name in _colleagues(world))


@tool(reads_untrusted=True)
def history(world: World, colleague: str) -> str:
    """Read again what you and a colleague have written to each other.

    Args:
        colleague: Name of the colleague.
    """
    name = colleague.strip().casefold()
    lines = [
        f"{item.get('date', '')}  {item['from']}: {item['text']}".lstrip()
        for item in world["team"]["messages"]
        if world.agent in (item["from"], item["to"])
        and name in (item["from"].casefold(), item["to"].casefold())
    ]
    return "\n".join(lines) or "nothing has been written yet"


@tool(changes_world=True, recipients=("to",))
def send(world: World, to: str, text: str) -> str:
    """Write to a colleague, who reads it when you are done for now.

    Args:
        to: Name of the colleague.
        text: What to write.
    """
    team = world["team"]
    if not text.strip():
        raise ToolError("the message is empty")
    names = _colleagues(world)
    for name in names:
        if name.casefold() == to.strip().casefold():
            message = {"from": world.agent, "to": name, "date": world.now, "text": text}
            team["messages"].append(message)
            return f"sent to {name}"
    raise ToolError(f"you cannot write to {to!r}; you can write to: {', '.join(names) or 'nobody'}")


def _colleagues(world: World) -> list[str]:
    known = world["team"]["members"]
    return list(known[world.agent]["writes_to"]) if world.agent in known else []
