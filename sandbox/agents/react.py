"""The ReAct agent: reason, call tools, read the results, until there is nothing left to call.

The graph knows neither containers nor traces: it asks its context for the model's answer and for
the results of calls. Any other graph that does the same can take its place.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, Protocol, TypedDict

from sandbox.models.base import Message


class AgentContext(Protocol):
    """What a graph may do, for one agent of one run."""

    async def ask(self, messages: Sequence[Message]) -> Message | None:
        """Return the model's answer as a message, or None where a limit ends the run."""
        ...

    async def act(self, message: Message) -> list[Message]:
        """Return the results of the calls in an answer, as messages in the order of the calls."""
        ...

    @property
    def over(self) -> bool:
        """True where the run must end: a limit, or a monitor."""
        ...


class AgentState(TypedDict):
    """The state of a graph."""

    messages: Annotated[list[Message], operator.add]


STEPS_A_TURN = 2
"""Nodes that the graph visits for each reply: the bound of its recursion."""


@cache
def graph() -> Any:
    """Return the compiled graph; it holds nothing of a run and is made once."""
    from langgraph.graph import END, START, StateGraph
    from langgraph.runtime import Runtime
    from langgraph.types import Command

    async def model(state: AgentState, runtime: Runtime[Any]) -> Command[Any]:
        answer = await runtime.context.ask(state["messages"])
        if answer is None:
            return Command(goto=END)
        onwards = answer.get("tool_calls") and not runtime.context.over
        return Command(update={"messages": [answer]}, goto="tools" if onwards else END)

    async def tools(state: AgentState, runtime: Runtime[Any]) -> Command[Any]:
        results = await runtime.context.act(state["messages"][-1])
        return Command(update={"messages": results}, goto=END if runtime.context.over else "model")

    builder = StateGraph(AgentState)
    for node in (model, tools):
        # langgraph resolves annotations at run time, where names of this function are not in reach
        node.__annotations__ = {"state": AgentState, "runtime": Runtime}
    # nodes say where to go next themselves: conditional edges cost as much again as all the rest
    builder.add_node("model", model, destinations=("tools", END))
    builder.add_node("tools", tools, destinations=("model", END))
    builder.add_edge(START, "model")
    return builder.compile()


async def run(context: AgentContext, messages: list[Message], turns: int) -> None:
    """Let the agent act from these messages until it is done or a limit ends it.

    Args:
        context: Answers and results.
        messages: System prompt and task.
        turns: The most replies that the model may give.
    """
    bound = STEPS_A_TURN * turns + STEPS_A_TURN + 1
    await graph().ainvoke({"messages": messages}, {"recursion_limit": bound}, context=context)
