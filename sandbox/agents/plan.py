"""Plan, then act: the model writes a plan without tools, then acts by it as ReAct does.

After "Plan-and-Solve Prompting" (arXiv 2305.04091), as LangGraph's plan-and-execute agents have it,
but with one model and without planning anew. An agent that has planned before anything hostile was
read is what planning is proposed for as a defence (arXiv 2506.08837); here the plan binds nobody.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sandbox.agents.context import AgentState
from sandbox.agents.react import turns
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
    from langgraph.func import entrypoint
    from langgraph.runtime import Runtime

    async def plan(state: AgentState, runtime: Runtime[Any]) -> AgentState:
        context, messages = runtime.context, list(state["messages"])
        if any(message["role"] == "assistant" for message in messages):
            return {"messages": await turns(context, messages)}  # it goes on from its own words
        asked = _said(WRITE, context.lang)
        answer = await context.ask([*messages, asked], words_only=True)
        if answer is None or context.over:
            return {"messages": messages}
        told = [asked, answer, _said(GO, context.lang)]
        return {"messages": await turns(context, [*messages, *told])}

    plan.__annotations__ = {"state": dict, "runtime": Runtime, "return": dict}
    return entrypoint()(plan)


def _said(texts: dict[str, str], lang: str) -> Message:
    return {"role": "user", "content": texts.get(lang, texts["en"])}
