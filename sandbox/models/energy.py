"""Electricity that a model's answers took, estimated by EcoLogits without a network.

EcoLogits (https://ecologits.ai, MPL-2.0) estimates from the size of the model and the number of tokens
that it wrote. **Tokens that it read are not counted**: agents read long contexts, so the figures are too
low. Where a model's size was not published, EcoLogits gives a range; the middle of it stands in a run's
result. Of models that it does not know, and where the extra ``energy`` is not installed, nothing is
said: None, never 0.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

ZONE = "FRA"
"""Whose mix of electricity is reported beside the energy, as ISO 3166 alpha-3. Energy does not depend on it."""
_PROVIDERS = {
    "openai": "openai",
    "azure": "openai",
    "anthropic": "anthropic",
    "mistral": "mistralai",
    "gemini": "google_genai",
    "vertex_ai": "google_genai",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "huggingface": "huggingface_hub",
    "hosted_vllm": "huggingface_hub",
}
_ELSEWHERE = ("hosted_vllm", "huggingface")  # open weights are what they are wherever they run


@dataclass(frozen=True)
class Mix:
    """What a kWh emits, and who says so."""

    grams: float
    """Of CO2 equivalent for each kWh."""
    zone: str
    source: str


def estimate(
    model: str, output_tokens: int, seconds: float, *, base_url: str | None = None
) -> float | None:
    """Return the kWh of one answer, or None where nothing is known.

    Args:
        model: As LiteLLM names it: ``provider/model``.
        output_tokens: That it wrote.
        seconds: That the answer took.
        base_url: Another server than the provider's own; what runs there only a name of open weights
            tells.
    """
    prefix, _, name = model.partition("/")
    provider = _PROVIDERS.get(prefix)
    if provider is None or (base_url and prefix not in _ELSEWHERE):
        return None
    llm_impacts = _ecologits()
    if llm_impacts is None or not output_tokens:
        return None
    energy = llm_impacts(
        provider=provider,
        model_name=name,
        output_token_count=output_tokens,
        request_latency=seconds,
        electricity_mix_zone=ZONE,
    ).energy
    return None if energy is None else float(getattr(energy.value, "mean", energy.value))


def describe() -> Mapping[str, object]:
    """Return how energy is estimated, for the trace."""
    try:
        method = f"EcoLogits {version('ecologits')}"
    except PackageNotFoundError:
        return {"method": None}
    return {"method": method, "counts": "output tokens", "value": "middle of the range"}


def mix() -> Mix | None:
    """Return what a kWh emits in :data:`ZONE` by EcoLogits' table, or None without it."""
    if _ecologits() is None:
        return None
    from ecologits.electricity_mix_repository import electricity_mixes

    if (row := electricity_mixes.find_electricity_mix(ZONE)) is None:
        return None
    return Mix(1000 * float(row.gwp), ZONE, f"EcoLogits {version('ecologits')}")


@cache
def _ecologits() -> Any:
    kind = logging.getLoggerClass()
    try:
        from ecologits.tracers.utils import llm_impacts
    except ImportError:
        return None
    finally:
        logging.setLoggerClass(kind)  # it puts its own in place for the whole process
    # That a model's size is not published stands in the documents, not on everyone's terminal.
    logging.getLogger("ecologits").setLevel(logging.CRITICAL)
    return llm_impacts
