"""What a scaffold imports: the context that it asks, the form of messages, and a decorator.

A scaffold drives a model; see ``docs/scaffolds.md``. LangGraph is loaded when a function is made one.
"""

from __future__ import annotations

from typing import Any

from sandbox.agents.context import AgentContext
from sandbox.agents.react import Drive, compile_graph, react
from sandbox.models.base import Message

__all__ = ["AgentContext", "Drive", "Message", "react", "scaffold"]


def scaffold(drive: Drive) -> Any:
    """Make a scaffold of an asynchronous function: a compiled graph, named as ``module:function``.

    ::

        @scaffold
        async def careful(context: AgentContext, messages: list[Message]) -> list[Message]:
            answer = await context.ask(messages)
            ...

    Args:
        drive: Is given the context and the messages so far (system prompt and task), and returns all
            messages in the end.
    """
    return compile_graph(drive)
