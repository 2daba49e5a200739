"""From what a user types behind ``--model`` to a model: ``family/name?parameter=value&…``."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl

from sandbox.errors import InputError
from sandbox.models.base import Source


def resolve(name: str) -> Source:
    """Return the source of a model.

    Args:
        name: ``scripted/…``, ``cassette/FILE``, or a model as LiteLLM names it
            (``openai/gpt-4o``, ``ollama/llama3.1``, ``hosted_vllm/NAME?base_url=http://…/v1``).

    Raises:
        InputError: The name or a parameter cannot be used.
    """
    path, _, query = name.partition("?")
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    family, slash, rest = path.partition("/")
    if not (family and slash and rest):
        raise InputError(
            f"{name!r} is no model: write provider/model, such as openai/gpt-4o, ollama/llama3.1 "
            "or scripted/safe"
        )
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
