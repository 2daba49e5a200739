"""The shape of a provider's answer, as LiteLLM hands it over: checked before anything reads it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.errors import ModelError


class _Shape(BaseModel):
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


class TokenCounts(_Shape):
    """How many tokens a provider charges for."""

    prompt_tokens: int | None = Field(None, ge=0)
    completion_tokens: int | None = Field(None, ge=0)


class ProviderAnswer(_Shape):
    """A whole answer; the first choice is the one that was requested."""

    choices: list[_Choice] = Field(min_length=1)
    model: str | None = None
    usage: TokenCounts = Field(default_factory=TokenCounts)


def parse_answer(response: object) -> ProviderAnswer:
    """Return an answer, if it is one.

    Raises:
        ModelError: It has another shape; what is wrong is named, not repeated.
    """
    try:
        return ProviderAnswer.model_validate(response)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ModelError(f"the answer is none: {place}: {first['msg']}") from None
