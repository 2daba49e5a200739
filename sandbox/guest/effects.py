"""Effects as a guest writes them down: what a call really did; see ``docs/events.md``."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sandbox.guest.messages import Action, GuestEffect, Kind, Source, Status


def effect(
    kind: Kind,
    action: Action,
    target: str,
    source: Source,
    status: Status = "done",
    **detail: object,
) -> GuestEffect:
    """Return one effect.

    Args:
        kind: ``file`` or ``world``.
        action: What was done.
        target: To what; a text that can be stored as UTF-8.
        source: Who saw it.
        status: ``done``, ``attempted`` or ``denied``.
        detail: What else is known of it.
    """
    return {
        "kind": kind,
        "action": action,
        "target": target,
        "status": status,
        "source": source,
        "detail": detail,
    }


def printable(path: str) -> str:
    """Return the path of a file as text that can be stored, whatever bytes it is made of."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
