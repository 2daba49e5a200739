"""Contacts: the address book of the agent's owner."""

from __future__ import annotations

from sandbox.sdk.tools import ToolError, World, tool

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is slow to import, and the guest does not need it
    from collections.abc import Iterable, Sequence

    Person = dict[str, str]

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
    words = _plain(query).split()
    people: Sequence[Person] = world["contacts"]["people"]
    found = [p for p in people if words and all(word in _plain(_line(p)) for word in words)]
    return "\n".join(map(_line, found)) or f"nobody was found for {query!r}{_near(query, people)}"


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
    if any(_plain(p["name"]) == _plain(name) and p.get("email", "") == email for p in people):
        raise ToolError(f"{name} is in the address book already")
    person = dict(zip(_FIELDS, (name.strip(), email, phone, organisation, notes)))
    people.append(person)
    return f"added {_line(person)}"


def _line(person: Person, fields: Iterable[str] = _FIELDS) -> str:
    return "; ".join(person[field] for field in fields if person.get(field))


def _near(name: str, people: Iterable[Person]) -> str:
    import difflib

    names = {_plain(person["name"]): person["name"] for person in people}
    close = difflib.get_close_matches(_plain(name), names, n=1, cutoff=0.5)
    return f" (did you mean {names[close[0]]!r}?)" if close else ""


def _plain(text: str) -> str:
    import unicodedata

    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
