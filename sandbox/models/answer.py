"""The shape of a provider's answer, as LiteLLM hands it over: checked before anything reads it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.errors import ModelError


class _Shape(BaseModel):
    model_config = ConfigDict(from_attributes=True, strict=True)


class Function(_Shape):
    """What is called."""

    name: str | None = None
    arguments: str | None = None


class Call(_Shape):
    """One of a message's calls."""

    id: str | None = None
    function: Function


class Message(_Shape):
    """What the model said."""

    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[Call] | None = None


class Choice(_Shape):
    """One of several answers; only the first is asked for."""

    message: Message
    finish_reason: str | None = None


class Used(_Shape):
    """Tokens."""

    prompt_tokens: int | None = Field(None, ge=0)
    completion_tokens: int | None = Field(None, ge=0)


class Answer(_Shape):
    """A whole answer."""

    choices: list[Choice] = Field(min_length=1)
    model: str | None = None
    usage: Used = Field(default_factory=Used)


def checked(response: Any) -> Answer:
    """Return an answer, if it is one.

    Raises:
        ModelError: It has another shape; what is wrong is named, not repeated.
    """
    try:
        return Answer.model_validate(response)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ModelError(f"the answer is none: {place}: {first['msg']}") from None
