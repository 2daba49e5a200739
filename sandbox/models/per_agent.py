"""Several models in one run: each agent of a team may have its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.errors import InputError, nearest
from sandbox.models.base import Model, ModelRequest, Reply, Retry, Source
from sandbox.scenario.instance import Instance


@dataclass(frozen=True)
class ModelPerAgent:
    """Asks each agent's own model, and one for all the others."""

    name: str
    """As the user wrote it."""
    usual: Model
    """Of all agents that have none of their own."""
    others: Mapping[str, Model]
    """Agent → its model."""

    def describe(self) -> Mapping[str, object]:
        """Return what the usual model says of itself, and what those of single agents do."""
        others = {
            agent: {"name": model.name, **model.describe()} for agent, model in self.others.items()
        }
        return {**self.usual.describe(), "agents": others}

    async def complete(self, request: ModelRequest, on_retry: Retry) -> Reply:
        """Return the answer of the agent's model."""
        return await self.others.get(request.agent, self.usual).complete(request, on_retry)


def source(name: str, usual: Source, others: Mapping[str, Source]) -> Source:
    """Return the source of an assignment.

    Args:
        name: As the user wrote it.
        usual: For all agents that are not named.
        others: Agent → its model.
    """

    def bind(instance: Instance) -> ModelPerAgent:
        agents = instance.scenario.agents
        for agent in others:
            if agent not in agents:
                raise InputError(
                    f"{name!r}: {instance.name} has no agent {agent!r}{nearest(agent, agents)}"
                )
        bound = {agent: model(instance) for agent, model in others.items()}
        return ModelPerAgent(name, usual(instance), bound)

    return bind
