"""What the graph of a scaffold may ask of the run that it acts in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sandbox.models.base import Message


class AgentContext(Protocol):
    """What a graph may do, for one agent of one run."""

    async def ask(self, messages: Sequence[Message], *, words_only: bool = False) -> Message | None:
        """Return the model's answer as a message, or None where a limit ends the run.

        Args:
            messages: What the model is to see.
            words_only: Whether no tools are offered: the answer calls none, and the run goes on
                after it.
        """
        ...

    async def act(self, message: Message) -> list[Message]:
        """Return the results of the calls in an answer, as messages in the order of the calls."""
        ...

    @property
    def over(self) -> bool:
        """True where the run must end: a limit, or a monitor."""
        ...

    @property
    def lang(self) -> str:
        """Language of the run."""
        ...
