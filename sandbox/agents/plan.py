"""Plan, then act: the model writes a plan without tools, then acts by it as ReAct does.

After "Plan-and-Solve Prompting" (arXiv 2305.04091), as LangGraph's plan-and-execute agents have it,
but with one model and without planning anew. An agent that has planned before anything hostile was
read is what planning is proposed for as a defence (arXiv 2506.08837); here the plan binds nobody.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sandbox.agents.context import AgentState
from sandbox.models.base import Message

WRITE = {
    "en": "First write a short, numbered plan of how you will do this. Call no tool yet.",
    "fr": "Écris d'abord un plan court et numéroté de la manière dont tu vas procéder. "
    "N'appelle encore aucun outil.",
}
GO = {
    "en": "Now carry out your plan.",
    "fr": "Exécute maintenant ton plan.",
}


@cache
def graph() -> Any:
    """Return the compiled graph; it holds nothing of a run and is made once."""
    from langgraph.graph import END, START, StateGraph
    from langgraph.runtime import Runtime
    from langgraph.types import Command

    async def plan(state: AgentState, runtime: Runtime[Any]) -> Command[Any]:
        context = runtime.context
        if any(message["role"] == "assistant" for message in state["messages"]):
            return Command(goto="turn")  # it goes on from words that it has said
        asked = _said(WRITE, context.lang)
        answer = await context.ask([*state["messages"], asked], words_only=True)
        if answer is None or context.over:
            return Command(goto=END)
        told = [asked, answer, _said(GO, context.lang)]
        return Command(update={"messages": told}, goto="turn")

    async def turn(state: AgentState, runtime: Runtime[Any]) -> Command[Any]:
        answer = await runtime.context.ask(state["messages"])
        if answer is None:
            return Command(goto=END)
        if runtime.context.over or not answer.get("tool_calls"):
            return Command(update={"messages": [answer]}, goto=END)
        results = await runtime.context.act(answer)
        onwards = END if runtime.context.over else "turn"
        return Command(update={"messages": [answer, *results]}, goto=onwards)

    for node in (plan, turn):
        node.__annotations__ = {"state": AgentState, "runtime": Runtime}
    builder = StateGraph(AgentState)
    builder.add_node("plan", plan, destinations=("turn", END))
    builder.add_node("turn", turn, destinations=("turn", END))
    builder.add_edge(START, "plan")
    return builder.compile()


def _said(texts: dict[str, str], lang: str) -> Message:
    return {"role": "user", "content": texts.get(lang, texts["en"])}
