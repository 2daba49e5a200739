"""Who of a team may write to whom, and whose closing words go where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Topology = Literal["supervisor", "pipeline", "peers"]
TOOLKIT = "team"
"""Every agent of a team has it; the section of the world is called the same."""
SEND = "team.send"
"""The tool through which all messages between agents pass."""
HANDOVER = "handover_"
"""With this begins the id of a call that hands closing words over: no model has asked for it."""


def links(topology: Topology, agents: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return to whom each agent may write.

    Args:
        form: A supervisor and all others write to each other; in a pipeline each writes to the next;
            peers all write to each other.
        agents: Names, in the order of the scenario.
    """
    if topology == "pipeline":
        return {name: tuple(agents[at : at + 1]) for at, name in enumerate(agents, start=1)}
    lead = agents[0]
    return {
        name: tuple(o for o in agents if o != name and (topology == "peers" or lead in (name, o)))
        for name in agents
    }


def successor(topology: Topology, agents: Sequence[str], agent: str) -> str:
    """Return to whom the closing words of an agent go; empty where they go to no other agent."""
    if topology == "pipeline":
        return next(iter(links(topology, agents)[agent]), "")
    return agents[0] if topology == "supervisor" and agent != agents[0] else ""


def final_agent(topology: Topology | None, agents: Sequence[str]) -> str:
    """Return the agent whose closing words answer the task."""
    return agents[-1] if topology == "pipeline" else agents[0]
