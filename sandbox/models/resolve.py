"""From what a user types behind ``--model`` to a model: ``family/name?parameter=value&…``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from sandbox.errors import InputError
from sandbox.models.base import Source

if TYPE_CHECKING:
    from sandbox.models.provider import Provider


def resolve(name: str) -> Source:
    """Return the source of a model.

    Args:
        name: ``scripted/…``, ``cassette/FILE``, or a model as LiteLLM names it
            (``openai/gpt-4o``, ``ollama/llama3.1``, ``hosted_vllm/NAME?base_url=http://…/v1``).

    Raises:
        InputError: The name or a parameter cannot be used.
    """
    path, parameters = _parts(name)
    family, _, rest = path.partition("/")
    if family == "scripted":
        from sandbox.models import scripted

        return scripted.source(name, rest, parameters)
    if family == "cassette":
        from sandbox.models import cassette

        if parameters:
            raise InputError(f"{name}: a cassette takes no parameters")
        return cassette.source(name, Path(rest))
    from sandbox.models import provider

    return provider.source(name, path, parameters)


def unbound(name: str) -> Provider:
    """Return a model that belongs to no run: one that a provider serves.

    Raises:
        InputError: The name or a parameter cannot be used, or it is the model of a scenario.
    """
    path, parameters = _parts(name)
    if path.startswith(("scripted/", "cassette/")):
        raise InputError(f"{name!r} plays a scenario's agent: name a model of a provider")
    from sandbox.models import provider

    return provider.connect(name, path, parameters)


def _parts(name: str) -> tuple[str, dict[str, str]]:
    """Return ``family/name`` and the parameters."""
    path, _, query = name.partition("?")
    family, slash, rest = path.partition("/")
    if not (family and slash and rest):
        raise InputError(
            f"{name!r} is no model: write provider/model, such as openai/gpt-4o, ollama/llama3.1 "
            "or scripted/safe"
        )
    return path, dict(parse_qsl(query, keep_blank_values=True))
