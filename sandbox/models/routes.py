"""Where a model is asked, and whose key goes there: a key goes to its own provider only.

LiteLLM would take a key from the environment for any address, and for many providers that of OpenAI
where theirs is missing. So it is always told both; see :mod:`sandbox.models.families`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from sandbox.errors import InputError, nearest
from sandbox.models.families import FAMILIES, Family

NO_KEY = "none"
"""What a server is shown that gets no key: clients of OpenAI's kind do not go without one."""
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_ODD = re.compile(r"[\s\\?#]")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DETOUR = "USE_LITELLM_PROXY"
"""LiteLLM sends every model to a proxy where this is set."""


@dataclass(frozen=True)
class ModelRoute:
    """The way to one model."""

    address: str | None
    """None where LiteLLM knows it: the provider's own."""
    variable: str | None
    """Holds the key that goes there; None where none does, or LiteLLM signs by itself."""
    own: bool = True
    """Whether it leads to the provider itself."""
    signs: bool = False
    """Whether LiteLLM reads the credentials of the provider by itself."""

    def missing(self, environment: Mapping[str, str]) -> str:
        """Return what is to be said where the key is not there."""
        if self.variable is None or environment.get(self.variable):
            return ""
        return f"the variable {self.variable} is not set, which should hold the key"

    def arguments(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return address and key for LiteLLM; the key must be there."""
        place = {} if self.address is None else {"api_base": self.address}
        if self.signs:
            return place
        return {**place, "api_key": environment[self.variable] if self.variable else NO_KEY}


def route(
    name: str, base_url: str | None, variable: str | None, environment: Mapping[str, str]
) -> ModelRoute:
    """Return the way to a model.

    Args:
        name: Its family.
        base_url: As the user gave it.
        variable: Named by the user as the one that holds the key.
        environment: Of this process.

    Raises:
        InputError: The family is unknown, or it cannot be asked there without showing a key to others.
    """
    family = _family(name)
    if variable is not None and not _VARIABLE.fullmatch(variable):
        raise InputError(f"{name}: api_key_env is the name of a variable, not a key")
    if environment.get(_DETOUR, "").strip().lower() == "true":
        raise InputError(f"{_DETOUR} sends all models elsewhere: name litellm_proxy/… instead")
    source, address = _place(family, base_url, environment)
    if address is None and (family.tenant or not family.hosts):
        raise InputError(f"{name} has no address of its own: say where, with ?base_url=https://…")
    own = address is None or _leads_home(_parse_address(name, source, address), family)
    if not own:
        _refuse(name, family, source, environment)
    if variable is not None:
        return ModelRoute(address, variable, own)
    if own and _signs(family, environment):
        return ModelRoute(address, None, own, signs=True)
    return ModelRoute(address, _key(family, environment, own=own), own)


def _family(name: str) -> Family:
    if name not in FAMILIES:
        raise InputError(f"no provider {name!r} is known{nearest(name, FAMILIES)}")
    return FAMILIES[name]


def _place(
    family: Family, base_url: str | None, environment: Mapping[str, str]
) -> tuple[str, str | None]:
    if base_url is None:
        for variable in family.places:
            if environment.get(variable):
                return variable, environment[variable]
    return "base_url", family.usual or None if base_url is None else base_url


def _parse_address(name: str, source: str, address: str) -> SplitResult:
    """Return the parts of an address that every reader of URLs takes for the same."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if "@" in parts.netloc:
        raise InputError(
            f"{name}: no credentials in {source}: name the variable of a key with api_key_env"
        )
    if not _HOST.fullmatch(host) or parts.scheme not in ("http", "https") or _ODD.search(address):
        raise InputError(f"{name}: {source} should look like https://host/v1, and end there")
    return parts


def _leads_home(parts: SplitResult, family: Family) -> bool:
    secure = parts.scheme == "https" and parts.port in (None, 443)
    return secure and family.owns(parts.hostname or "")


def _refuse(name: str, family: Family, source: str, environment: Mapping[str, str]) -> None:
    if family.bound:
        raise InputError(
            f"{name} is asked at {', '.join(family.hosts)} only, not where {source} leads: name a "
            "server of yours as hosted_vllm/NAME or openai/NAME"
        )
    if found := [variable for variable in family.signs if environment.get(variable)]:
        raise InputError(f"{name}: with {found[0]} set, LiteLLM would sign in where {source} leads")


def _signs(family: Family, environment: Mapping[str, str]) -> bool:
    """Return whether LiteLLM signs in by itself: with credentials that are no key, if there is no key."""
    if not family.keys:
        return family.bound
    keys, signs = (any(map(environment.get, names)) for names in (family.keys, family.signs))
    return signs and not keys


def _key(family: Family, environment: Mapping[str, str], *, own: bool) -> str | None:
    """Return the variable with the key for an address; if it is needed, also one that is not set."""
    if family.hosts and not own:
        return None
    variables = (variable for variable in family.keys if environment.get(variable))
    return next(variables, family.keys[0] if own else None)
