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
            words_only: Whether no tools are offered: the answer calls none, the run goes on after
                it, and the answer before may still be acted on.
        """

    async def act(self, message: Message) -> list[Message]:
        """Execute the calls that stand in a message, in order; return their results as messages.

        Args:
            message: The model's last answer, or a copy of it. Calls whose name or arguments were
                edited are executed as edited, as the scaffold's own; calls left out are dropped.

        Raises:
            ScaffoldError: A call is not in the last answer, or stands there twice, or that answer
                was acted on already. Nothing of the message is executed, and the run ends.
        """

    @property
    def over(self) -> bool:
        """True where the run must end: a limit, or a monitor."""

    @property
    def lang(self) -> str:
        """Language of the run."""
