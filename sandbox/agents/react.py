"""The ReAct agent: reason, call tools, read the results, until there is nothing left to call.

The graph knows neither containers nor traces: it asks its context for the model's answer and for
the results of calls. Any other graph that does the same can take its place.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from sandbox.agents.context import AgentContext
from sandbox.models.base import Message

Drive = Callable[[AgentContext, list[Message]], Awaitable[list[Message]]]
"""From what was said so far to all that was said in the end."""


@cache
def compile_graph(drive: Drive) -> Any:
    """Return a compiled graph that drives the model by a function; it holds nothing of a run, and is made once.

    Made with LangGraph's functional interface: its cost is then one step for a run, where nodes and
    edges cost one for each turn.
    """
    from langgraph.func import entrypoint
    from langgraph.runtime import Runtime

    async def driven(state: Any, runtime: Any) -> Any:
        return {"messages": await drive(runtime.context, state["messages"])}

    # langgraph resolves annotations at run time, where names of this function are not in reach
    driven.__annotations__ = {"state": dict, "runtime": Runtime, "return": dict}
    return entrypoint()(driven)


async def react(
    context: AgentContext, messages: list[Message], between: Callable[[], Message] | None = None
) -> list[Message]:
    """Let the model answer and its calls be made, until it calls nothing or must end; return all messages.

    Args:
        context: Answers and results.
        messages: What was said so far.
        between: Makes what is said behind the results of each answer, if anything.
    """
    said = list(messages)
    while (answer := await context.ask(list(said))) is not None:
        said.append(answer)
        if context.over or not answer.get("tool_calls"):
            break
        said += await context.act(answer)
        if context.over:
            break
        if between:
            said.append(between())
    return said
