"""ReAct with the user's task repeated behind every tool result: a defence against injected instructions.

AgentDojo has it as ``repeat_user_prompt``; the literature calls it sandwiching ("Learn Prompting:
Sandwich Defense", 2023; AgentDojo, arXiv 2406.13352).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sandbox.agents.context import AgentState
from sandbox.agents.react import turns


@cache
def graph() -> Any:
    """Return the compiled graph; it holds nothing of a run and is made once."""
    from langgraph.func import entrypoint
    from langgraph.runtime import Runtime

    async def repeating(state: AgentState, runtime: Runtime[Any]) -> AgentState:
        messages = state["messages"]
        task = next(message["content"] for message in messages if message["role"] == "user")
        return {
            "messages": await turns(
                runtime.context, messages, lambda: {"role": "user", "content": task}
            )
        }

    repeating.__annotations__ = {"state": dict, "runtime": Runtime, "return": dict}
    return entrypoint()(repeating)
