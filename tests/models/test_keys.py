"""A key goes to its own provider only: every known provider, asked with all keys set."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import InputError
from sandbox.models.families import FAMILIES
from sandbox.models.resolve import unbound
from sandbox.models.routes import route
from tests.support.key_traffic import LAB, OTHER_WAYS, model_of

pytestmark = pytest.mark.xdist_group("keys")  # the program is run once
Told = dict[tuple[str, str], dict[str, Any]]
ACCOUNT = {
    "openai": {"OPENAI_ORGANIZATION", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS"},
    "text-completion-openai": {"OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS"},
    "cloudflare": {"CLOUDFLARE_ACCOUNT_ID"},
    "predibase": {"PREDIBASE_TENANT_ID"},
    "bedrock": {"AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"},
    "bedrock_mantle": {"BEDROCK_MANTLE_API_KEY"},
    "sagemaker": {"AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"},
    "sagemaker_chat": {"AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"},
    "snowflake": {"SNOWFLAKE_JWT", "SNOWFLAKE_ACCOUNT_ID", "snowflake_account_id"},
    "gigachat": {"GIGACHAT_ACCESS_TOKEN"},
}
"""What a provider is shown beside its key, at its own hosts: names of accounts, credentials that sign."""
TEXTS = {"huggingface.co"}
"""Where LiteLLM looks for a model's template; it shows no key there."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What went where; see :mod:`tests.support.key_traffic`."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path_factory.mktemp("home")),
        "SSL_VERIFY": "False",  # LiteLLM's: the hosts are ours
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.key_traffic"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=1500,
        cwd=Path(__file__).parents[2],
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    known = lines.pop(0)
    wanted = {key for family in FAMILIES.values() for key in family.keys}
    assert len(known["credentials"]) > 200
    assert len(wanted & set(known["credentials"])) > 80
    return {(line["model"], line["how"]): line for line in lines}


def _marks(line: dict[str, Any], *hosts: str) -> set[str]:
    return {m for one in line["sent"] for m in one["marks"] if not hosts or one["host"] in hosts}


@pytest.mark.parametrize("name", FAMILIES)
def test_elsewhere_no_key_of_the_environment_arrives(told: Told, name: str) -> None:
    """At an address that is not the provider's, only a key arrives that is for servers of one's own."""
    family = FAMILIES[name]
    line = told[model_of(name), "elsewhere"]
    assert _marks(line) <= (set() if family.hosts else set(family.keys))
    assert line["problem"].startswith("InputError") is family.bound
    assert bool(line["sent"]) is not family.bound


@pytest.mark.parametrize(
    "name", [name for name, family in FAMILIES.items() if family.signs and not family.bound]
)
def test_what_could_sign_elsewhere_is_refused(told: Told, name: str) -> None:
    """With credentials in the environment that LiteLLM signs with by itself, no other address is asked."""
    line = told[model_of(name), "signed"]
    assert f"with {FAMILIES[name].signs[0]} set" in line["problem"]
    assert line["sent"] == []


@pytest.mark.parametrize("name", OTHER_WAYS)
def test_other_ways_to_the_same_provider_are_no_detours(told: Told, name: str) -> None:
    """Models that LiteLLM asks in another way than others get no key there either."""
    line = told[name, "elsewhere"]
    assert line["sent"]
    assert _marks(line) == set()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_named_key_is_the_one_that_arrives(told: Told, name: str) -> None:
    """With ``api_key_env`` that key arrives at the address, and no other."""
    line = told[model_of(name), "named"]
    if FAMILIES[name].bound:
        assert "is asked at" in line["problem"]
        assert line["sent"] == []
    else:
        keyless = name in ("custom", "oobabooga")  # LiteLLM shows such servers nothing
        assert _marks(line, "127.0.0.1") == (set() if keyless else {LAB})


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.hosts])
def test_at_home_only_the_own_key_arrives(told: Told, name: str) -> None:
    """A provider is asked at its own hosts, with its own key and its own account's names."""
    line = told[model_of(name), "home"]
    family = FAMILIES[name]
    for one in line["sent"]:
        own = family.owns(one["host"])
        assert own or one["host"] in TEXTS or (family.usual and one["host"] == "localhost")
        assert set(one["marks"]) <= ({family.keys[0]} if family.keys and own else set()) | (
            ACCOUNT.get(name, set()) if own else set()
        )
    if family.keys and not family.tenant and not family.usual:
        assert family.keys[0] in _marks(line)


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.keys])
def test_another_providers_key_never_stands_in(told: Told, name: str) -> None:
    """Where a provider's own key is not set, nothing is sent, and the variable is named."""
    line = told[model_of(name), "keyless"]
    family = FAMILIES[name]
    assert _marks(line) == set()
    if family.hosts and not family.tenant and not family.usual:
        assert line["sent"] == []
        assert f"{family.keys[0]} is not set" in line["problem"]


@pytest.mark.parametrize("name", FAMILIES)
def test_addresses_in_the_environment_are_no_way_round(told: Told, name: str) -> None:
    """Where a variable of the environment sends calls elsewhere, the same holds as for ``base_url``."""
    line = told[model_of(name), "placed"]
    family = FAMILIES[name]
    allowed = set() if family.hosts else set(family.keys)
    assert _marks(line, "127.0.0.1") <= allowed
    for one in line["sent"]:
        place = re.search(r"/place-([A-Z0-9_]+)", one["path"])
        assert place is None or place[1] in family.places


OPENAI = {
    "https://api.openai.com/v1": True,
    "https://eu.api.openai.com/v1": True,
    "https://API.OPENAI.COM:443/v1": True,
    "http://api.openai.com/v1": False,
    "https://api.openai.com:8443/v1": False,
    "https://api.openai.com.lab.example/v1": False,
    "https://lab-api.openai.com/v1": False,
    "https://lab.example/api.openai.com/v1": False,
}


@pytest.mark.parametrize(("address", "own"), OPENAI.items())
def test_what_is_a_providers_own(address: str, own: bool) -> None:
    """Only the provider's hosts over TLS are its own, whatever an address looks like."""
    found = route("openai", address, None, {"OPENAI_API_KEY": "sk-1"})
    assert (found.own, found.variable) == (own, "OPENAI_API_KEY" if own else None)


ODD = [
    "localhost:8000",
    "ftp://host/v1",
    "https:///v1",
    "http://[::1",
    "http://host:port/v1",
    r"https://lab.example\.api.openai.com/v1",
    "https://lab.example?.api.openai.com",
    "https://lab.example#.api.openai.com",
    "https://api.open\tai.com",
    "http://host/v1?key=sk-1",
]


@pytest.mark.parametrize("address", ODD)
def test_addresses_that_readers_of_urls_take_differently(address: str) -> None:
    """What is no plain address, or could hold a key, is refused, and not repeated."""
    with pytest.raises(InputError, match="base_url should look like") as caught:
        route("openai", address, None, {})
    assert address not in str(caught.value)


REFUSED = {
    "openai/x?base_url=http://me:sk-12345678@host/v1": "no credentials in base_url",
    "openai/x?api_key=sk-12345678": "api_key_env",
    "openai/x?api_key_env=sk-12345678": "the name of a variable",
    "opanai/x?base_url=http://host/v1": "did you mean 'openai'",
    "hosted_vllm/x": "say where",
    "bedrock/x?base_url=http://host/v1": "is asked at",
    "openai/x?temprature=1&api_key=sk-12345678": "did you mean 'temperature'",
    "openai/x?seed=1&seed=2": "twice",
}


@pytest.mark.parametrize(("name", "expected"), REFUSED.items())
def test_names_that_are_refused(name: str, expected: str) -> None:
    """What cannot be meant, or would show a key, is refused with a word that holds none."""
    with pytest.raises(InputError, match=expected) as caught:
        unbound(name)
    assert "sk-12345678" not in str(caught.value)


def test_a_proxy_of_litellms_for_all_models_is_no_way_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """LiteLLM's switch that sends all models to a proxy is refused: keys would go with them."""
    monkeypatch.setenv("USE_LITELLM_PROXY", "True")
    with pytest.raises(InputError, match="USE_LITELLM_PROXY"):
        unbound("openai/x")


BEDROCK = {
    "https://bedrock-runtime.eu-west-3.amazonaws.com": True,
    "https://bedrock-runtime.eu-west-3.amazonaws.com.lab.example": False,
    "https://x.execute-api.eu-west-3.amazonaws.com": False,
    "https://bedrock-runtime.amazonaws.com": False,
}


@pytest.mark.parametrize(("address", "own"), BEDROCK.items())
def test_other_customers_of_a_cloud_are_not_the_cloud(address: str, own: bool) -> None:
    """Of a cloud's names only those count at which its models are: below others anybody may be."""
    if own:
        assert route("bedrock", address, None, {}).signs
    else:
        with pytest.raises(InputError, match="is asked at"):
            route("bedrock", address, None, {})
