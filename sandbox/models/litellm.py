"""Real models through LiteLLM: every provider, and local servers such as vLLM and Ollama."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.errors import ModelError, raised_by_us
from sandbox.models import energy, options, routes
from sandbox.models.base import ModelRequest, Reply, Retry, ToolCall, Usage
from sandbox.models.library import litellm as loaded
from sandbox.models.options import Value
from sandbox.models.routes import ModelRoute
from sandbox.models.secrets import scrubber

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
_UNNAMED = "no key was sent there: name its variable with ?api_key_env=NAME"
_SENT = frozenset(option.name for option in options.PROVIDER if option.for_provider)


class _Shape(BaseModel):
    """A part of an answer as LiteLLM hands it over: checked before anything reads it."""

    model_config = ConfigDict(from_attributes=True, strict=True)


class _Function(_Shape):
    name: str | None = None
    arguments: str | None = None


class _Call(_Shape):
    id: str | None = None
    function: _Function


class _Message(_Shape):
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(_Shape):
    message: _Message
    finish_reason: str | None = None


class _TokenCounts(_Shape):
    prompt_tokens: int | None = Field(None, ge=0)
    completion_tokens: int | None = Field(None, ge=0)


class _Answer(_Shape):
    choices: list[_Choice] = Field(min_length=1)
    model: str | None = None
    usage: _TokenCounts = Field(default_factory=_TokenCounts)


def _parse_answer(response: object) -> _Answer:
    """Return an answer, if it is one.

    Raises:
        ModelError: It has another shape; what is wrong is named, not repeated.
    """
    try:
        return _Answer.model_validate(response)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ModelError(f"the answer is none: {place}: {first['msg']}") from None


class Provider:
    """A model that LiteLLM reaches."""

    def __init__(self, name: str, model: str, values: Mapping[str, Value], way: ModelRoute) -> None:
        self.name = name
        self._model = model
        self._way = way
        self._parameters = {key: value for key, value in values.items() if key in _SENT}
        self._timeout = float(values.get("timeout", TIMEOUT))
        self._attempts = int(values.get("attempts", ATTEMPTS))
        self._rate = float(values.get("eur_per_usd", EUR_PER_USD))

    def describe(self) -> Mapping[str, object]:
        """Return model, parameters, where it is, the variable of the key that it gets, and prices."""
        from importlib.metadata import version

        return {
            "provider": "litellm",
            "litellm": version("litellm"),
            "model": self._model,
            "parameters": self._parameters,
            "base_url": self._way.address,
            "key": self._way.variable,
            "timeout": self._timeout,
            "attempts": self._attempts,
            "eur_per_usd": self._rate,
            "prices": "LiteLLM's list of that version, in dollars",
            "energy": dict(energy.describe()),
        }

    def prepare(self) -> None:
        """Import LiteLLM, which takes seconds: for callers whose time limits are short."""
        loaded()

    def missing(self) -> str:
        """Return which key is missing, or an empty text."""
        return self._way.missing(os.environ)

    async def complete(self, request: ModelRequest, on_retry: Retry) -> Reply:
        """Return the answer, trying again where the fault may pass."""
        if reason := self.missing():
            raise ModelError(f"{self.name}: {reason}")
        litellm = loaded()
        clean = self._scrubber()
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
            on_retry(state.attempt_number, clean(str(error)), float(wait))

        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: _may_pass(litellm, error)),
            stop=stop_after_attempt(self._attempts),
            wait=wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT),
            before_sleep=before_sleep,
            reraise=True,
        )
        try:
            answer: tuple[Any, float] = await retrying(self._once, litellm, request)
            return self._reply(litellm, *answer, clean)
        except (_Fault, ModelError) as error:
            text = f"{self.name}: {error}{self._hint(error.__cause__)}"
            raise ModelError(clean(text)) from error.__cause__

    def _scrubber(self) -> Callable[[str], str]:
        """Return what takes keys out of all that a provider says: it may repeat what it was shown."""
        also = [self._way.variable] if self._way.variable else []
        return scrubber(os.environ, also) or str

    def _hint(self, error: BaseException | None) -> str:
        unknown = getattr(error, "status_code", None) in (401, 403) and not self._way.own
        return f" ({_UNNAMED})" if unknown and not self._way.variable else ""

    async def _once(self, litellm: Any, request: ModelRequest) -> tuple[Any, float]:
        start = time.monotonic()
        # Its handler for tools of MCP servers imports a package that LiteLLM does not require.
        tools = {"tools": list(request.tools), "_skip_mcp_handler": True} if request.tools else {}
        answer = litellm.acompletion(
            model=self._model,
            messages=list(request.messages),
            timeout=self._timeout,
            num_retries=0,
            max_retries=0,
            stream=False,
            **self._parameters,
            **self._way.arguments(os.environ),
            **tools,
        )
        return await _cancel_later(_blame(answer)), time.monotonic() - start

    def _reply(
        self, litellm: Any, response: Any, seconds: float, clean: Callable[[str], str]
    ) -> Reply:
        answer = _parse_answer(response)
        message, finish = answer.choices[0].message, answer.choices[0].finish_reason
        calls = tuple(
            ToolCall.parse(
                clean(call.id or f"call_{index}"),
                clean(call.function.name or ""),
                clean(call.function.arguments or ""),
            )
            for index, call in enumerate(message.tool_calls or ())
        )
        return Reply(
            text=clean(message.content or ""),
            calls=calls,
            reasoning=clean(message.reasoning_content or ""),
            usage=self._usage(litellm, response, answer.usage, seconds),
            finish=clean(finish or ""),
            model=clean(answer.model or self._model),
        )

    def _usage(self, litellm: Any, response: Any, counts: _TokenCounts, seconds: float) -> Usage:
        read, written = counts.prompt_tokens or 0, counts.completion_tokens or 0
        try:
            dollars: float | None = litellm.completion_cost(
                completion_response=response, model=self._model
            )
        except Exception:  # noqa: BLE001 - LiteLLM raises bare exceptions where it knows no price
            dollars = None
        base = None if self._way.own else self._way.address
        return Usage(
            read,
            written,
            cost_eur=(dollars or 0.0) * self._rate,
            price_known=dollars is not None,
            energy_kwh=energy.estimate(self._model, written, seconds, base_url=base),
        )


class _Fault(Exception):
    """What LiteLLM raised; its cause is that."""


def _may_pass(litellm: Any, error: BaseException) -> bool:
    passing = (
        litellm.RateLimitError,
        litellm.Timeout,
        litellm.APIConnectionError,
        litellm.InternalServerError,
        litellm.ServiceUnavailableError,
        litellm.BadGatewayError,
    )
    return isinstance(error, _Fault) and isinstance(error.__cause__, passing)


async def _blame(answer: Coroutine[Any, Any, Any]) -> Any:
    """Await LiteLLM: what it raises is the provider's fault, except what our own code raised in it."""
    try:
        return await answer
    except Exception as error:
        if (own := raised_by_us(error)) is not None:
            raise own from None
        text = " ".join(str(error).split())
        raise _Fault(f"{type(error).__name__}: {text[:400]}") from error


async def _cancel_later(answer: Coroutine[Any, Any, Any]) -> Any:
    """Await a request; where its run ends in the middle, cancel it once it is under way.

    LiteLLM makes a coroutine in a thread and awaits it then: cancelled in between, it would be lost.
    """
    task = asyncio.ensure_future(answer)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        try:  # here, not later: the loop may be closed right after
            await asyncio.wait({task}, timeout=_UNDER_WAY)
        finally:
            task.cancel()
        raise


def connect(name: str, model: str, parameters: Mapping[str, str]) -> Provider:
    """Return a real model.

    Args:
        name: As the user wrote it.
        model: As LiteLLM names it: ``provider/model``.
        parameters: Those of :data:`sandbox.models.options.PROVIDER`, as text.

    Raises:
        InputError: A parameter or the provider is unknown, or a value cannot be used.
    """
    values = options.read(model, options.PROVIDER, parameters)
    place, variable = parameters.get(options.BASE_URL), parameters.get(options.API_KEY_ENV)
    way = routes.route(model.partition("/")[0], place, variable, os.environ)
    return Provider(name, model, values, way)
