"""An agent program as a user may bring it: asks a model over HTTP, calls tools over MCP. No code of ours.

Usage: ``python program.py [both|tools|stream|stdout FILE]``; where the run is stands in the environment.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import httpx
import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

KEY = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}


def ask(messages: list[Any], tools: list[Any], *, stream: bool) -> dict[str, Any]:
    """Return the model's answer."""
    asked = {
        "model": os.environ["SANDBOX_MODEL"],
        "messages": messages,
        "tools": tools,
        "stream": stream,
    }
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    done = httpx.post(url, json=asked, headers=KEY, timeout=60, trust_env=False)
    done.raise_for_status()
    if not stream:
        message: dict[str, Any] = done.json()["choices"][0]["message"]
        return message
    parts = [line.removeprefix("data: ") for line in done.text.splitlines() if line]
    assert parts[-1] == "[DONE]"
    delta: dict[str, Any] = json.loads(parts[0])["choices"][0]["delta"]
    return delta


async def main(how: str) -> None:
    """Do the task."""
    async with (
        httpx2.AsyncClient(headers=KEY, trust_env=False, timeout=60) as http,
        Client(streamable_http_client(os.environ["SANDBOX_MCP_URL"], http_client=http)) as client,
    ):
        tools = (await client.list_tools()).tools
        if how == "tools":
            listed = await client.call_tool("mail_list", {})
            told = [getattr(part, "text", "") for part in listed.content]
            await client.call_tool("finish", {"text": f"Saw {len(told[0].splitlines())} lines."})
            return
        described = [
            {"type": "function", "function": {"name": t.name, "parameters": t.input_schema}}
            for t in tools
        ]
        messages: list[Any] = [
            {"role": "system", "content": os.environ["SANDBOX_PROMPT"]},
            {"role": "user", "content": os.environ["SANDBOX_TASK"]},
        ]
        while True:
            answer = ask(messages, described, stream=how == "stream")
            messages.append(answer)
            for call in answer.get("tool_calls") or ():
                function = call["function"]
                made = await client.call_tool(function["name"], json.loads(function["arguments"]))
                text = "".join(getattr(part, "text", "") for part in made.content)
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": text})
            if not answer.get("tool_calls"):
                return


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "both"))
