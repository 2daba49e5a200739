"""A scaffold as a user may write it."""

OWN = '''\
"""A graph of two nodes."""
import operator
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command


class State(TypedDict):
    messages: Annotated[list[dict[str, Any]], operator.add]


async def think(state: State, runtime: Runtime[Any]) -> Command[Any]:
    answer = await runtime.context.ask(%s)
    if answer is None or not answer.get("tool_calls"):
        return Command(update={"messages": [answer] if answer else []}, goto=END)
    return Command(update={"messages": [answer]}, goto="work")


async def work(state: State, runtime: Runtime[Any]) -> Command[Any]:
    results = await runtime.context.act(state["messages"][-1])
    return Command(update={"messages": results}, goto=END if runtime.context.over else "think")


builder = StateGraph(State)
builder.add_node("think", think, destinations=("work", END))
builder.add_node("work", work, destinations=("think", END))
builder.add_edge(START, "think")
graph = builder.compile()
number = 3
'''
