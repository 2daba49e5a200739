"""A model that gives recorded replies first and then hands over to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sandbox.models.base import Model, ModelRequest, Reply, Retry

Replies = Mapping[str, Sequence[Reply]]
"""Agent → its recorded replies, in order."""


class Handover:
    """Plays each agent's recorded replies, then asks another model."""

    def __init__(self, recorder: str, replies: Replies, then: Model) -> None:
        """Make it.

        Args:
            recorded_by: The model that gave the replies, as its user wrote it.
            replies: Agent → its recorded replies.
            then: The model that goes on.
        """
        self._recorded_by = recorder
        self._replies = replies
        self._then = then
        self._over = False

    @property
    def name(self) -> str:
        """The model whose replies are given at the moment."""
        return self._then.name if self._over else self._recorded_by

    def describe(self) -> Mapping[str, object]:
        """Return what the model that goes on says of itself."""
        return self._then.describe()

    def replays(self, agent: str, turn: int) -> bool:
        """Return whether an agent's reply of this turn is a recorded one."""
        return turn < len(self._replies.get(agent, ()))

    def hand_over(self) -> None:
        """Go by the name of the model that goes on."""
        self._over = True

    async def complete(self, request: ModelRequest, on_retry: Retry) -> Reply:
        """Return the recorded reply of this turn, or the other model's if there is none."""
        if self.replays(request.agent, request.turn):
            return self._replies[request.agent][request.turn]
        return await self._then.complete(request, on_retry)
