"""ReAct with the user's task repeated behind every tool result: a defence against injected instructions.

AgentDojo has it as ``repeat_user_prompt``; the literature calls it sandwiching ("Learn Prompting:
Sandwich Defense", 2023; AgentDojo, arXiv 2406.13352).
"""

from __future__ import annotations

from sandbox.agents.context import AgentContext
from sandbox.agents.react import react
from sandbox.models.base import Message


async def repeat_user_prompt(context: AgentContext, messages: list[Message]) -> list[Message]:
    """Let the model act, with its task before its eyes behind every result; return all messages."""
    task = next(message["content"] for message in messages if message["role"] == "user")
    return await react(context, messages, lambda: {"role": "user", "content": task})
