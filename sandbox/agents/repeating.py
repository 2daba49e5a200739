"""ReAct with the user's task repeated behind every tool result: a defence against injected instructions.

AgentDojo has it as ``repeat_user_prompt``; the literature calls it sandwiching ("Learn Prompting:
Sandwich Defense", 2023; AgentDojo, arXiv 2406.13352).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sandbox.agents.context import AgentState


@cache
def graph() -> Any:
    """Return the compiled graph; it holds nothing of a run and is made once."""
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
        if runtime.context.over:
            return Command(update={"messages": [answer, *results]}, goto=END)
        task = next(m["content"] for m in state["messages"] if m["role"] == "user")
        again = {"role": "user", "content": task}
        return Command(update={"messages": [answer, *results, again]}, goto="turn")

    turn.__annotations__ = {"state": AgentState, "runtime": Runtime}
    builder = StateGraph(AgentState)
    builder.add_node("turn", turn, destinations=("turn", END))
    builder.add_edge(START, "turn")
    return builder.compile()
