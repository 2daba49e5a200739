"""What may stand behind ``?`` of a model's name: the one list that reading, sending and documents share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sandbox.errors import InputError, nearest

Value = float | int | str
T = TypeVar("T")


@dataclass(frozen=True)
class ModelOption:
    """One option of a model."""

    name: str
    kind: type[float | int | str]
    about: str
    for_provider: bool = True
    """Whether the provider gets it as it is; others are read here."""
    least: float = -math.inf
    most: float = math.inf

    def value(self, model: str, text: str) -> Value:
        """Return what a text means.

        Raises:
            InputError: It is no such number, or out of bounds.
        """
        try:
            value = self.kind(text)
        except ValueError:
            value = math.nan
        if isinstance(value, str) or self.least <= value <= self.most:
            return value
        bounds = f" from {self.least:g}" * (self.least > -math.inf)
        bounds += f" to {self.most:g}" * (self.most < math.inf)
        what = "a whole number" if self.kind is int else "a number"
        raise InputError(
            f"{model}: {self.name} should be {what}{bounds}, not {text!r}: {self.about}"
        )


BASE_URL = "base_url"
API_KEY_ENV = "api_key_env"
PROVIDER = (
    ModelOption(BASE_URL, str, "where the model is, if not at its provider", for_provider=False),
    ModelOption(
        API_KEY_ENV, str, "the variable of the environment that holds the key", for_provider=False
    ),
    ModelOption(
        "timeout",
        float,
        "seconds that one request may take; 120",
        for_provider=False,
        least=0.001,
        most=86400,
    ),
    ModelOption(
        "attempts",
        int,
        "tries of one request, if the fault may pass; 5",
        for_provider=False,
        least=1,
        most=100,
    ),
    ModelOption(
        "eur_per_usd",
        float,
        "euros for a dollar of LiteLLM's prices; 0.92",
        for_provider=False,
        least=0,
        most=1e6,
    ),
    ModelOption("temperature", float, "0: the likeliest words", least=0, most=10),
    ModelOption("top_p", float, "words from the likeliest with this share", least=0, most=1),
    ModelOption("top_k", int, "words from so many likeliest", least=-1),
    ModelOption(
        "min_p", float, "words with at least this share of the likeliest's chance", least=0, most=1
    ),
    ModelOption("frequency_penalty", float, "against words that came often", least=-10, most=10),
    ModelOption("presence_penalty", float, "against words that came at all", least=-10, most=10),
    ModelOption("max_tokens", int, "the longest answer", least=1),
    ModelOption(
        "max_completion_tokens",
        int,
        "the same, with reasoning, where a provider tells them apart",
        least=1,
    ),
    ModelOption("seed", int, "for providers that draw by it"),
    ModelOption("reasoning_effort", str, "`low`, `medium`, `high`, or as the provider names it"),
    ModelOption("tool_choice", str, "`auto`, `required` or `none`"),
    ModelOption("api_version", str, "of Azure's interface"),
)
"""Of a model that a provider or a server serves."""
SCRIPTED_MIXED = (
    ModelOption("p", float, "probability of an unsafe run; must be there", False, 0, 1),
)
"""Of ``scripted/mixed``."""
FAMILIES: Mapping[str, Sequence[ModelOption]] = {
    "provider/NAME": PROVIDER,
    "scripted/mixed": SCRIPTED_MIXED,
    "scripted/NAME": (),
    "cassette/FILE": (),
    "outside/NAME": (),
}
"""Kind of model → its options."""


def read(model: str, options: Sequence[ModelOption], texts: Mapping[str, str]) -> dict[str, Value]:
    """Return option → value.

    Args:
        model: The model's name, without what stands behind ``?``: that is not repeated in errors.
        options: That there are.
        texts: Option → what its user wrote.

    Raises:
        InputError: One is unknown, or its value cannot be used.
    """
    known = {option.name: option for option in options}
    for name in texts:
        if name == "api_key":
            raise InputError(
                f"{model}: a key has no place in a name: name its variable with api_key_env"
            )
        if name not in known:
            raise InputError(f"{model}: unknown option {name!r}{nearest(name, known)}")
    return {name: known[name].value(model, text) for name, text in texts.items()}
