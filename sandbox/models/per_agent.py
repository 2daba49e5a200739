"""Several models in one run: each agent of a team may have its own."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.errors import InputError, nearest
from sandbox.models.base import Model, Reply, Request, Retry, Source
from sandbox.scenario.instance import Instance


class Assigned:
    """Asks each agent's own model, and one for all the others."""

    def __init__(self, name: str, usual: Model, others: Mapping[str, Model]) -> None:
        """Make it.

        Args:
            name: As the user wrote it.
            usual: The model of all agents that have none of their own.
            others: Agent → its model.
        """
        self.name = name
        self._usual = usual
        self._others = others

    def describe(self) -> Mapping[str, object]:
        """Return what the usual model says of itself, and what those of single agents do."""
        others = {
            agent: {"name": model.name, **model.describe()} for agent, model in self._others.items()
        }
        return {**self._usual.describe(), "agents": others}

    async def complete(self, request: Request, on_retry: Retry) -> Reply:
        """Return the answer of the agent's model."""
        return await self._others.get(request.agent, self._usual).complete(request, on_retry)


def source(name: str, usual: Source, others: Mapping[str, Source]) -> Source:
    """Return the source of an assignment.

    Args:
        name: As the user wrote it.
        usual: For all agents that are not named.
        others: Agent → its model.
    """

    def bind(instance: Instance) -> Assigned:
        agents = instance.scenario.agents
        for agent in others:
            if agent not in agents:
                raise InputError(
                    f"{name!r}: {instance.name} has no agent {agent!r}{nearest(agent, agents)}"
                )
        bound = {agent: model(instance) for agent, model in others.items()}
        return Assigned(name, usual(instance), bound)

    return bind
