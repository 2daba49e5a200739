"""Team: what the agents of one run write to each other; see ``docs/teams.md``."""

from __future__ import annotations

from sandbox.sdk.tools import ToolError, World, tool

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is slow to import, and the guest does not need it
    from typing import Any

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
    return "\n".join(
        f"{name}: {known[name]['about']}".rstrip(": ") for name in _reached(world, known)
    )


@tool(reads_untrusted=True)
def history(world: World, colleague: str) -> str:
    """Read again what you and a colleague have written to each other.

    Args:
        colleague: Name of the colleague.
    """
    own = world.agent
    wanted = colleague.strip().casefold()
    said = [
        f"{item.get('date', '')}  {item['from']}: {item['text']}".lstrip()
        for item in world["team"]["messages"]
        if own in (item["from"], item["to"])
        and wanted in (item["from"].casefold(), item["to"].casefold())
    ]
    return "\n".join(said) or "nothing has been written yet"


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
    reached = _reached(world, team["members"])
    for name in reached:
        if name.casefold() == to.strip().casefold():
            said = {"from": world.agent, "to": name, "date": world.now, "text": text}
            team["messages"].append(said)
            return f"sent to {name}"
    raise ToolError(
        f"you cannot write to {to!r}; you can write to: {', '.join(reached) or 'nobody'}"
    )


def _reached(world: World, known: dict[str, Any]) -> list[str]:
    return list(known[world.agent]["writes_to"]) if world.agent in known else []
