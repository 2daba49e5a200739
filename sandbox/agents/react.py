"""The ReAct agent: reason, call tools, read the results, until there is nothing left to call.

The graph knows neither containers nor traces: it asks its context for the model's answer and for
the results of calls. Any other graph that does the same can take its place.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sandbox.agents.context import AgentState


@cache
def graph() -> Any:
    """Return the compiled graph; it holds nothing of a run and is made once.

    One node, a turn, that leads back to itself: the model answers, and its calls are acted. A node
    for each half, with conditional edges between them, costs LangGraph four times as much.
    """
    from langgraph.graph import END, START, StateGraph
    from langgraph.runtime import Runtime
    from langgraph.types import Command

    async def turn(state: AgentState, runtime: Runtime[Any]) -> Command[Any]:
        answer = await runtime.context.ask(state["messages"])
        if answer is None:
            return Command(goto=END)
        if runtime.context.over or not answer.get("tool_calls"):
            return Command(update={"messages": [answer]}, goto=END)
        results = await runtime.context.act(answer)
        onwards = END if runtime.context.over else "turn"
        return Command(update={"messages": [answer, *results]}, goto=onwards)

    # langgraph resolves annotations at run time, where names of this function are not in reach
    turn.__annotations__ = {"state": AgentState, "runtime": Runtime}
    builder = StateGraph(AgentState)
    builder.add_node("turn", turn, destinations=("turn", END))
    builder.add_edge(START, "turn")
    return builder.compile()
