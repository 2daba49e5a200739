"""The Protocol of a model, and what goes in and comes out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, Protocol, TypedDict

from sandbox.scenario.instance import Instance
from sandbox.trace.model_events import AskedCall, ChatMessage, TokenUsage

JsonSchema = Mapping[str, object]
Message = ChatMessage
"""A message in OpenAI's chat format."""
DEEPEST = 64
"""Levels of nesting in a call's arguments; deeper ones exhaust whoever walks through them."""


@dataclass(frozen=True)
class ToolCall:
    """A call that a model asked for."""

    id: str
    name: str
    """As the model wrote it."""
    arguments: dict[str, Any] | None
    """None where what the model wrote is not a JSON object."""
    raw: str = ""
    """What the model wrote as arguments."""
    original: ToolCall | None = None
    """The model's call that a scaffold made this one of; None for a call of the model's own."""

    def as_data(self) -> AskedCall:
        """Return it as JSON data for the trace."""
        if self.arguments is None:
            return {"id": self.id, "name": self.name, "raw": self.raw}
        return {"id": self.id, "name": self.name, "arguments": self.arguments}

    @classmethod
    def parse(cls, call_id: str, name: str, raw: str) -> ToolCall:
        """Return a call from the text of its arguments, which need not be sound."""
        try:
            value = json.loads(
                raw or "{}", parse_constant=_refuse, parse_float=_finite, parse_int=_exact
            )
        except (ValueError, RecursionError):
            value = None
        sound = isinstance(value, dict) and not _deeper(value, DEEPEST)
        return cls(call_id, name, value if sound else None, raw)


def _refuse(constant: str) -> NoReturn:
    """NaN and Infinity are not JSON (RFC 8259), though Python's reader takes them."""
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    """A number that a float cannot hold would be Infinity, which no trace can hold either."""
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def _exact(text: str) -> int:
    """Whole numbers beyond 64 bits overflow in conditions, worlds and sums."""
    value = int(text)
    return value if -(2**63) <= value < 2**63 else _refuse(text)


def _deeper(value: object, levels: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(item, levels - 1) for item in inner)


@dataclass(frozen=True)
class Usage:
    """What one reply used."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_eur: float = 0.0
    """Price; 0 where none is known, see ``price_known``."""
    price_known: bool = True
    energy_kwh: float | None = None
    """None if it is not known."""

    @property
    def tokens(self) -> int:
        """All tokens."""
        return self.input_tokens + self.output_tokens

    def as_data(self) -> TokenUsage:
        """Return it as JSON data for the trace."""
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_eur": self.cost_eur,
            "price_known": self.price_known,
            "energy_kwh": self.energy_kwh,
        }


@dataclass(frozen=True)
class Reply:
    """What a model answered."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    """Reasoning text, where the provider returns it; not part of the answer."""
    usage: Usage = field(default_factory=Usage)
    finish: str = "stop"
    """Why it stopped, in the provider's word: ``stop``, ``tool_calls``, ``length``, …"""
    model: str = ""
    """The model as the provider names it."""
    replayed: int | None = None
    """Position of the parent's event that it is taken from, in the replayed part of a fork."""


class FunctionSchema(TypedDict):
    """A function as a model sees it."""

    name: str
    description: str
    parameters: Mapping[str, object]
    """JSON Schema of its arguments."""


class FunctionTool(TypedDict):
    """A tool in OpenAI's form."""

    type: Literal["function"]
    function: FunctionSchema


@dataclass(frozen=True)
class ModelRequest:
    """What a model is asked."""

    agent: str
    turn: int
    """How many replies this agent has had, from 0."""
    messages: Sequence[Message]
    tools: Sequence[FunctionTool]
    words_only: bool = False
    """Whether words are asked for, such as a plan: no tools are offered, and the run goes on."""
    text_replies: int = 0
    """How many of this agent's replies so far were such."""


Retry = Callable[[int, str, float], None]
"""Called before a retry with the number of the attempt that failed, why, and seconds to wait."""


class Model(Protocol):
    """A model bound to one run."""

    @property
    def name(self) -> str:
        """As the user wrote it."""

    def describe(self) -> Mapping[str, object]:
        """Return provider, parameters, prices: all that a reader of the trace must know."""

    async def complete(self, request: ModelRequest, on_retry: Retry) -> Reply:
        """Return the model's answer.

        Raises:
            ModelError: It cannot be reached, or refuses the request for good.
        """


Source = Callable[[Instance], Model]
"""Binds a model to a run: scripted models need the scenario's references and the seed."""


def wire_name(tool: str) -> str:
    """Return a tool's name as providers allow it: ``mail.send`` → ``mail_send``."""
    return tool.replace(".", "_")


def function_schema(name: str, description: str, parameters: JsonSchema) -> FunctionTool:
    """Return a tool in OpenAI's form."""
    return {
        "type": "function",
        "function": {
            "name": wire_name(name),
            "description": description,
            "parameters": dict(parameters),
        },
    }
