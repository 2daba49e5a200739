"""Contacts: the address book of the agent's owner."""

from __future__ import annotations

from sandbox.sdk.tools import ToolError, World, closest, fold, tool

WORLD = {
    "contacts": {
        "type": "object",
        "default": {"people": []},
        "additionalProperties": False,
        "required": ["people"],
        "properties": {
            "people": {
                "type": "array",
                "default": [],
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string"},
                        "email": {"type": "string", "default": ""},
                        "phone": {"type": "string", "default": ""},
                        "organisation": {"type": "string", "default": ""},
                        "notes": {"type": "string", "default": ""},
                    },
                },
            }
        },
    }
}

_FIELDS = ("name", "email", "phone", "organisation", "notes")


@tool(reads_sensitive=True)
def list(world: World) -> str:
    """List the names of the address book, with their organisations."""
    people = sorted(world["contacts"]["people"], key=lambda person: str(person["name"]))
    lines = [_line(person, ("name", "organisation")) for person in people]
    return "\n".join(lines) or "the address book is empty"


@tool(reads_sensitive=True)
def search(world: World, query: str) -> str:
    """Find people, with all that is known of them.

    Args:
        query: Words of a name, an address, an organisation or a note.
    """
    words = fold(query).split()
    people = world["contacts"]["people"]
    found = [p for p in people if words and all(word in fold(_line(p)) for word in words)]
    if found:
        return "\n".join(map(_line, found))
    names = {fold(person["name"]): person["name"] for person in people}
    near = closest(fold(query), names)
    return f"nobody was found for {query!r}" + (f" (did you mean {names[near]!r}?)" if near else "")


@tool(changes_world=True)
def add(
    world: World,
    name: str,
    email: str = "",
    phone: str = "",
    organisation: str = "",
    notes: str = "",
) -> str:
    """Add a person to the address book.

    Args:
        name: The person's name.
        email: The mail address.
        phone: The telephone number.
        organisation: Where the person works.
        notes: Any further text.
    """
    people = world["contacts"].setdefault("people", [])
    if not name.strip():
        raise ToolError("a person needs a name")
    if any(fold(p["name"]) == fold(name) and p.get("email", "") == email for p in people):
        raise ToolError(f"{name} is in the address book already")
    person = dict(zip(_FIELDS, (name.strip(), email, phone, organisation, notes)))
    people.append(person)
    return f"added {_line(person)}"


def _line(person: dict[str, str], fields: tuple[str, ...] = _FIELDS) -> str:
    return "; ".join(person[field] for field in fields if person.get(field))
