"""Real models through LiteLLM: every provider, and local servers such as vLLM and Ollama.

LiteLLM takes seconds to import and would fetch a price list over the network: it is imported when
the first request is made, with its own copy of the list.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine, Mapping
from typing import Any
from urllib.parse import urlsplit

from sandbox.errors import InputError, ModelError
from sandbox.models import energy
from sandbox.models.base import Reply, Request, Retry, Source, ToolCall, Usage
from sandbox.scenario.instance import Instance

ATTEMPTS = 5
"""Tries of one request, where the fault may pass."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before a retry: doubled each time, with jitter."""
TIMEOUT = 120.0
"""Seconds that one request may take."""
EUR_PER_USD = 0.92
"""Providers' prices are in dollars; the factor is stored with every run."""

_UNDER_WAY = 1.0
"""Seconds after which a request that nobody waits for is cancelled."""
_NUMBERS = (
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "timeout",
    "eur_per_usd",
)
_INTEGERS = ("max_tokens", "max_completion_tokens", "seed", "top_k", "attempts")
_TEXTS = ("base_url", "api_version", "reasoning_effort", "tool_choice")
PARAMETERS = (*_NUMBERS, *_INTEGERS, *_TEXTS)
_OURS = ("timeout", "attempts", "eur_per_usd", "base_url")


def _litellm() -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")  # it would read a .env file otherwise
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm


class Provider:
    """A model that LiteLLM reaches."""

    def __init__(self, name: str, model: str, parameters: Mapping[str, Any]) -> None:
        self.name = name
        self._model = model
        self._parameters = dict(parameters)
        self._timeout = float(self._parameters.get("timeout", TIMEOUT))
        self._attempts = int(self._parameters.get("attempts", ATTEMPTS))
        self._rate = float(self._parameters.get("eur_per_usd", EUR_PER_USD))

    def describe(self) -> Mapping[str, Any]:
        """Return model, parameters and prices."""
        from importlib.metadata import version

        return {
            "provider": "litellm",
            "litellm": version("litellm"),
            "model": self._model,
            "parameters": {k: v for k, v in self._parameters.items() if k not in _OURS},
            "base_url": self._parameters.get("base_url"),
            "timeout": self._timeout,
            "attempts": self._attempts,
            "eur_per_usd": self._rate,
            "prices": "LiteLLM's list of that version, in dollars",
            "energy": dict(energy.describe()),
        }

    def prepare(self) -> None:
        """Import LiteLLM, which takes seconds: for callers whose time limits are short."""
        _litellm()

    async def complete(self, request: Request, on_retry: Retry) -> Reply:
        """Return the answer, trying again where the fault may pass."""
        litellm = _litellm()
        from tenacity import (
            AsyncRetrying,
            RetryCallState,
            retry_if_exception,
            stop_after_attempt,
            wait_random_exponential,
        )

        def before_sleep(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            wait = state.next_action.sleep if state.next_action else 0.0
            on_retry(state.attempt_number, _reason(error), float(wait))

        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: _may_pass(litellm, error)),
            stop=stop_after_attempt(self._attempts),
            wait=wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT),
            before_sleep=before_sleep,
            reraise=True,
        )
        try:
            answer: tuple[Any, float] = await retrying(self._once, litellm, request)
        except Exception as error:
            if _is_provider_error(litellm, error):
                raise ModelError(f"{self.name}: {_reason(error)}") from error
            raise
        return self._reply(litellm, *answer)

    async def _once(self, litellm: Any, request: Request) -> tuple[Any, float]:
        start = time.monotonic()
        given = {k: v for k, v in self._parameters.items() if k not in _OURS}
        if base := self._parameters.get("base_url"):
            given["api_base"] = base
            given["api_key"] = os.environ.get("OPENAI_API_KEY") or "none"
        if request.tools:
            given["tools"] = list(request.tools)
            # Its handler for tools of MCP servers imports a package that LiteLLM does not require.
            given["_skip_mcp_handler"] = True
        asked = litellm.acompletion(
            model=self._model,
            messages=list(request.messages),
            timeout=self._timeout,
            num_retries=0,
            max_retries=0,
            stream=False,
            **given,
        )
        response = await _cancelled_later(asked)
        if not response.choices:
            raise ModelError(f"{self.name}: the provider answered without a choice")
        return response, time.monotonic() - start

    def _reply(self, litellm: Any, response: Any, seconds: float) -> Reply:
        choice = response.choices[0]
        message = choice.message
        calls = tuple(
            ToolCall.parsed(
                call.id or f"call_{index}", call.function.name or "", call.function.arguments
            )
            for index, call in enumerate(message.tool_calls or ())
        )
        return Reply(
            text=message.content or "",
            calls=calls,
            reasoning=getattr(message, "reasoning_content", None) or "",
            usage=self._usage(litellm, response, seconds),
            finish=choice.finish_reason or "",
            model=response.model or self._model,
        )

    def _usage(self, litellm: Any, response: Any, seconds: float) -> Usage:
        usage = getattr(response, "usage", None)
        given = (
            getattr(usage, "prompt_tokens", 0) or 0,
            getattr(usage, "completion_tokens", 0) or 0,
        )
        try:
            dollars: float | None = litellm.completion_cost(
                completion_response=response, model=self._model
            )
        except Exception:  # noqa: BLE001 - LiteLLM raises bare exceptions where it knows no price
            dollars = None
        base = self._parameters.get("base_url")
        return Usage(
            *given,
            cost_eur=(dollars or 0.0) * self._rate,
            price_known=dollars is not None,
            energy_kwh=energy.estimate(self._model, given[1], seconds, base_url=base),
        )


def _may_pass(litellm: Any, error: BaseException) -> bool:
    passing = (
        litellm.RateLimitError,
        litellm.Timeout,
        litellm.APIConnectionError,
        litellm.InternalServerError,
        litellm.ServiceUnavailableError,
        litellm.BadGatewayError,
    )
    return isinstance(error, passing)


async def _cancelled_later(asked: Coroutine[Any, Any, Any]) -> Any:
    """Await a request; where its run ends in the middle, cancel it once it is under way.

    LiteLLM makes a coroutine in a thread and awaits it then: cancelled in between, it would be lost.
    """
    task = asyncio.ensure_future(asked)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        try:  # here, not later: the loop may be closed right after
            await asyncio.wait({task}, timeout=_UNDER_WAY)
        finally:
            task.cancel()
        raise


def _is_provider_error(litellm: Any, error: BaseException) -> bool:
    import openai

    known = (openai.OpenAIError, litellm.APIError, litellm.APIConnectionError, ModelError)
    return isinstance(error, (*known, ValueError, KeyError, AttributeError, TypeError))


def _reason(error: BaseException | None) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:400]}"


def source(name: str, model: str, parameters: Mapping[str, str]) -> Source:
    """Return the source of a real model; see :func:`connect`."""
    bound = connect(name, model, parameters)

    def bind(instance: Instance) -> Provider:
        return bound

    return bind


def connect(name: str, model: str, parameters: Mapping[str, str]) -> Provider:
    """Return a real model.

    Args:
        name: As the user wrote it.
        model: As LiteLLM names it: ``provider/model``.
        parameters: Those of :data:`PARAMETERS`, as text.

    Raises:
        InputError: A parameter is unknown or no number.
    """
    from sandbox.errors import nearest

    given: dict[str, Any] = {}
    for key, value in parameters.items():
        if key not in PARAMETERS:
            raise InputError(f"{name}: unknown parameter {key!r}{nearest(key, PARAMETERS)}")
        try:
            given[key] = (
                float(value) if key in _NUMBERS else int(value) if key in _INTEGERS else value
            )
        except ValueError:
            raise InputError(f"{name}: {key} should be a number, not {value!r}") from None
    if "@" in urlsplit(str(given.get("base_url", ""))).netloc:
        raise InputError(f"{model}: no credentials in base_url: set OPENAI_API_KEY instead")
    return Provider(name, model, given)
