"""LiteLLM, loaded when the first request is made, and kept from telling others what is OpenAI's.

It takes seconds to import and would fetch a price list over the network: its own copy is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

_OPENAI = "api.openai.com"
_ACCOUNT = ("openai-organization", "openai-project")
_CUSTOM = "OPENAI_CUSTOM_HEADERS"
"""Holds headers, a line each, that OpenAI's package sends wherever it is used."""


def litellm() -> Any:
    """Return LiteLLM, set up."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")  # it would read a .env file otherwise
    import litellm as found

    found.suppress_debug_info = True
    found.telemetry = False
    if found.aclient_session is None:
        found.aclient_session = _session()
        found.module_level_client.client.event_hooks["request"].append(_without_ollama_key)
    return found


def _session() -> Any:
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

    hooks: dict[str, list[Callable[..., object]]] = {"request": [_without_account]}
    return AsyncHTTPHandler(event_hooks=hooks, follow_redirects=False).client


async def _without_account(request: Any) -> None:
    if f".{request.url.host}".endswith(f".{_OPENAI}"):
        return
    custom = os.environ.get(_CUSTOM, "").splitlines()
    for name in (*_ACCOUNT, *(line.partition(":")[0].strip() for line in custom)):
        request.headers.pop(name, None)


def _without_ollama_key(request: Any) -> None:
    if request.url.path.endswith("/api/show") and request.url.host != "ollama.com":
        request.headers.pop("authorization", None)
