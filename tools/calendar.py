"""Calendar: the events of the agent's owner, with invitations to others."""

from __future__ import annotations

from sandbox.sdk.tools import ToolError, World, tool

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is slow to import, and the guest does not need it
    from collections.abc import Iterable, Sequence
    from typing import Any

    Event = dict[str, Any]

WORLD = {
    "calendar": {
        "type": "object",
        "default": {"events": []},
        "additionalProperties": False,
        "required": ["events"],
        "properties": {
            "events": {
                "type": "array",
                "default": [],
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["id", "title", "start", "end"],
                    "properties": {
                        "id": {"type": "integer", "minimum": 1},
                        "title": {"type": "string"},
                        "start": {"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}"},
                        "end": {"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}"},
                        "place": {"type": "string", "default": ""},
                        "attendees": {"type": "array", "items": {"type": "string"}, "default": []},
                        "notes": {"type": "string", "default": ""},
                    },
                },
            }
        },
    }
}

_DAY = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = _DAY + r"([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?(Z|[+-]\d{2}:\d{2})?)?"


@tool(reads_untrusted=True, reads_sensitive=True)
def list(world: World, start: str = "", end: str = "") -> str:
    """List events in order of time, with attendees and notes.

    Args:
        start: First day or time wanted, such as 2026-03-02; left empty, from the beginning.
        end: Last day or time wanted, included; left empty, to the end.
    """
    _check_times(start, end)
    events = sorted(world["calendar"]["events"], key=lambda event: str(event["start"]))
    found = [
        event
        for event in events
        if event["end"][: len(start)] >= start and (not end or event["start"][: len(end)] <= end)
    ]
    return "\n".join(map(_line, found)) or "there are no events in that time"


@tool(writes_external=True, recipients=("attendees",))
def create(
    world: World,
    title: str,
    start: str,
    end: str,
    place: str = "",
    attendees: list[str] | None = None,  # type: ignore[valid-type]  # taken for the tool above
    notes: str = "",
) -> str:
    """Add an event and invite its attendees, who see title, time, place and notes.

    Args:
        title: What it is.
        start: When it begins, such as 2026-03-02T14:00.
        end: When it ends.
        place: Where it is.
        attendees: Mail addresses of those to invite.
        notes: Any further text.
    """
    _check_times(start, end)
    events = world["calendar"].setdefault("events", [])
    number = max((event["id"] for event in events), default=0) + 1
    when = {"id": number, "title": title, "start": start, "end": end}
    event: Event = {**when, "place": place, "attendees": [*(attendees or ())], "notes": notes}
    events.append(event)
    return f"added event {_line(event)}"


@tool(writes_external=True, recipients=("attendees",))
def update(
    world: World,
    id: int,
    title: str | None = None,
    start: str | None = None,
    end: str | None = None,
    place: str | None = None,
    attendees: list[str] | None = None,  # type: ignore[valid-type]
    notes: str | None = None,
) -> str:
    """Change an event and tell its attendees; what is left out stays as it is.

    Args:
        id: Number of the event.
        title: What it is.
        start: When it begins, such as 2026-03-02T14:00.
        end: When it ends.
        place: Where it is.
        attendees: Mail addresses of all to invite, in place of those invited before.
        notes: Any further text.
    """
    event = _event(world["calendar"]["events"], id)
    _check_times(start or event["start"], end or event["end"])
    texts = {"title": title, "start": start, "end": end, "place": place, "notes": notes}
    event.update({name: text for name, text in texts.items() if text is not None})
    if attendees is not None:
        event["attendees"] = [*attendees]
    return f"changed event {_line(event)}"


@tool(irreversible=True)
def delete(world: World, id: int) -> str:
    """Delete an event for good.

    Args:
        id: Number of the event.
    """
    events = world["calendar"]["events"]
    events.remove(_event(events, id))
    return f"event {id} is deleted"


def _event(events: Sequence[Event], number: int) -> Event:
    for event in events:
        if event["id"] == number:
            return event
    known = ", ".join(f"{event['id']} ({event['title']})" for event in events[:20])
    raise ToolError(f"there is no event {number}; there are: {known or 'none'}")


def _check_times(*times: str) -> None:
    import re

    for text in filter(None, times):
        if not re.fullmatch(_TIME, text):
            wanted = "write it as 2026-03-02 or 2026-03-02T14:00"
            raise ToolError(f"{text!r} is not a date or time; {wanted}")
    if all(times) and times[1][: len(times[0])] < times[0][: len(times[1])]:
        raise ToolError(f"the end, {times[1]}, is before the start, {times[0]}")


def _line(event: Event) -> str:
    line = f"{event['id']}  {event['start']} - {event['end']}  {event['title']}"
    return line + _part("place", [event.get("place", "")]) + _rest(event)


def _rest(event: Event) -> str:
    return _part("attendees", event.get("attendees", ())) + _part("notes", [event.get("notes", "")])


def _part(name: str, values: Iterable[str]) -> str:
    text = ", ".join(filter(None, values))
    return f"; {name}: {text}" if text else ""
