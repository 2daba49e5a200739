"""Where the arguments of a call came from, as the face shows it."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.trace.store import Store


@dataclass(frozen=True)
class Source:
    """One piece of an argument and the earlier text that it is from."""

    path: str
    """JSON pointer of the argument, within the call's arguments."""
    start: int
    stop: int
    """The piece: characters ``start`` to before ``stop`` of the argument's text."""
    label: str
    """What it is from, in words for a reader."""
    untrusted: bool = False
    """Whether others than the user wrote that text."""


def sources(store: Store, run: str, seq: int) -> list[Source]:
    """Return from where the pieces of a call's arguments came; ``seq`` is that of its intent."""
    return []
