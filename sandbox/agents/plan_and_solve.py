"""Plan, then act: the model writes a plan without tools, then acts by it as ReAct does.

After "Plan-and-Solve Prompting" (arXiv 2305.04091), as LangGraph's plan-and-execute agents have it,
but with one model and without planning anew. An agent that has planned before anything hostile was
read is what planning is proposed for as a defence (arXiv 2506.08837); here the plan binds nobody.
"""

from __future__ import annotations

from sandbox.agents.context import AgentContext
from sandbox.agents.react import react
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


async def plan(context: AgentContext, messages: list[Message]) -> list[Message]:
    """Let the model write a plan, then act by it; return all messages."""
    if any(message["role"] == "assistant" for message in messages):
        return await react(context, messages)  # it goes on from words that it has said
    request = _instruction(WRITE, context.lang)
    answer = await context.ask([*messages, request], words_only=True)
    if answer is None or context.over:
        return messages
    return await react(context, [*messages, request, answer, _instruction(GO, context.lang)])


def _instruction(texts: dict[str, str], lang: str) -> Message:
    return {"role": "user", "content": texts.get(lang, texts["en"])}
