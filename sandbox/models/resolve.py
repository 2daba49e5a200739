"""From what a user types behind ``--model`` to a model: ``family/name?parameter=value&…``.

In a team an agent may have a model of its own: ``family/name AGENT=family/name …``.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl

from sandbox.errors import InputError
from sandbox.models import cassette, options, per_agent, scripted
from sandbox.models.base import Source
from sandbox.models.external import ExternalModel
from sandbox.models.litellm import Provider, connect

_BOUND = ("scripted/", "cassette/", "outside/")
"""Models that play the agent of a scenario, and nothing else."""
_AGENT = re.compile(r"[a-z][a-z0-9_-]*")


def resolve(name: str) -> Source:
    """Return the source of a model.

    Args:
        name: ``scripted/…``, ``cassette/FILE``, or a model as LiteLLM names it
            (``openai/gpt-4o``, ``ollama/llama3.1``, ``hosted_vllm/NAME?base_url=http://…/v1``);
            behind it, with spaces, ``AGENT=MODEL`` for agents that have another one.

    Raises:
        InputError: The name or a parameter cannot be used.
    """
    first, others = _split(name)
    if not others:
        return _source(first)
    bound = {agent: _source(model) for agent, model in others.items()}
    return per_agent.source(name, _source(first), bound)


def check_keys(name: str) -> None:
    """Check that the keys which a model needs are in the environment, before anything is begun.

    Raises:
        InputError: A variable is not set; it is named.
    """
    first, others = _split(name)
    for model in (first, *others.values()):
        if not model.startswith(_BOUND) and (reason := unbound(model).missing()):
            raise InputError(f"{_parts(model)[0]}: {reason}")


def _split(name: str) -> tuple[str, dict[str, str]]:
    """Return the usual model's name, and agent → the name of its own."""
    first, *behind = name.split() or [name]
    others: dict[str, str] = {}
    for part in behind:
        agent, _, model = part.partition("=")
        if not (_AGENT.fullmatch(agent) and model):
            raise InputError(f"{name!r}: behind the first model stands AGENT=MODEL, not {part!r}")
        if agent in others:
            raise InputError(f"{name!r}: {agent} has two models")
        others[agent] = model
    return first, others


def _source(name: str) -> Source:
    path, parameters = _parts(name)
    family, _, rest = path.partition("/")
    if family == "scripted":
        return scripted.source(name, rest, parameters)
    if family == "cassette":
        options.read(path, options.FAMILIES["cassette/FILE"], parameters)
        return cassette.source(name, Path(rest))
    if family == "outside":
        options.read(path, options.FAMILIES["outside/NAME"], parameters)
        return lambda instance: ExternalModel(name)
    provider = connect(name, path, parameters)
    return lambda instance: provider


def unbound(name: str) -> Provider:
    """Return a model that belongs to no run: one that a provider serves.

    Raises:
        InputError: The name or a parameter cannot be used, or it is the model of a scenario.
    """
    path, parameters = _parts(name)
    if path.startswith(_BOUND):
        raise InputError(f"{name!r} plays a scenario's agent: name a model of a provider")
    return connect(name, path, parameters)


def _parts(name: str) -> tuple[str, dict[str, str]]:
    """Return ``family/name`` and the parameters."""
    path, _, query = name.partition("?")
    family, slash, rest = path.partition("/")
    if not (family and slash and rest):
        raise InputError(
            f"{path!r} is no model: write provider/model, such as openai/gpt-4o, ollama/llama3.1 "
            "or scripted/safe"
        )
    values = parse_qsl(query, keep_blank_values=True)
    if len(values) > len(dict(values)):
        raise InputError(f"{path}: an option stands there twice")
    return path, dict(values)
