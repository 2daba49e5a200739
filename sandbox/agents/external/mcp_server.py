"""The tools of a run as an MCP server (https://modelcontextprotocol.io), made with the protocol's own package."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from sandbox.agents.external.session import Over, Visit
from sandbox.models.base import wire_name

if TYPE_CHECKING:
    from mcp.server import Server

_Handler = Callable[[Any, Any], Awaitable[Any]]
FINISH = "finish"
"""A tool of the server's own: the agent's closing words, where no model of the run has said them."""
_FINISH = {
    "en": "End the task. Say in a few words what you have done, or why you have not.",
    "fr": "Termine la tâche. Dis en quelques mots ce que tu as fait, ou pourquoi tu ne l'as pas fait.",
}
_FINISH_SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
}
_OVER = {"en": "The run is over.", "fr": "L'exécution est terminée."}


def server(visit: Visit, *, finishes: bool) -> Server[Any]:
    """Return an MCP server of a run's tools; prompt and task are its instructions and its prompt ``task``.

    Args:
        visit: The stay of the agent that will call.
        finishes: Whether there is a tool with which the agent ends.
    """
    import mcp_types as types
    from mcp.server import Server

    lang = visit.context.lang

    async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        tools = [
            types.Tool(
                name=description["function"]["name"],
                description=description["function"]["description"],
                input_schema=dict(description["function"]["parameters"]),
                annotations=types.ToolAnnotations.model_validate(tool.annotations),
            )
            for tool, description in visit.context.offered
        ]
        if finishes:
            words = _FINISH.get(lang, _FINISH["en"])
            tools.append(types.Tool(name=FINISH, description=words, input_schema=_FINISH_SCHEMA))
        return types.ListToolsResult(tools=tools)

    async def call_tool(_context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        arguments, text, well = params.arguments or {}, _OVER.get(lang, _OVER["en"]), False
        with suppress(Over):
            if finishes and params.name == FINISH:
                await visit.finish(str(arguments.get("text", "")))
                well = True
            else:
                text, well = await visit.call(wire_name(params.name), arguments)
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text)], is_error=not well
        )

    async def list_prompts(_context: Any, _params: Any) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=[types.Prompt(name="task", description=visit.task)])

    async def get_prompt(_context: Any, _params: Any) -> types.GetPromptResult:
        task = types.TextContent(type="text", text=visit.task)
        return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=task)])

    return Server(
        "agent-risk-sandbox",
        version=version("agent-risk-sandbox"),
        instructions=f"{visit.prompt}\n\n{visit.task}",
        on_list_tools=_ours(visit, list_tools),
        on_call_tool=_ours(visit, call_tool),
        on_list_prompts=_ours(visit, list_prompts),
        on_get_prompt=_ours(visit, get_prompt),
    )


def _ours(visit: Visit, handler: _Handler) -> _Handler:
    """Return a handler whose fault ends the run: the protocol's package would tell the agent only."""

    async def handle(context: Any, params: Any) -> Any:
        with visit.guard():
            return await handler(context, params)

    return handle
