"""A scenario taken back from a trace, as the run started from it, whatever became of its files."""

from __future__ import annotations

import itertools
import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.errors import InputError
from sandbox.scenario import network
from sandbox.scenario.instance import Instance, WorldData
from sandbox.scenario.schema import Scenario
from sandbox.scenario.toolkits import Catalogue, Tool


@dataclass(frozen=True)
class RecordedScenario:
    """What a run started from."""

    instance: Instance
    changed: tuple[str, ...]
    """Tools that are defined otherwise than when the run was made."""


def scenario_of(start: Mapping[str, Any], catalogue: Catalogue) -> RecordedScenario:
    """Return what a run started from, given the data of its first event.

    The world and the definition are those of the trace. The code of tools is in no trace: it is the
    workspace's, and tools whose definition has changed since are named.

    Args:
        start: Data of ``run.start``, large texts in place.
        catalogue: The toolkits of the workspace.

    Raises:
        InputError: The trace does not hold it, or a tool is not there any more.
    """
    text = start.get("scenario_text")
    if not isinstance(text, str) or not text:
        raise InputError("its trace holds no scenario: it was not made here")
    try:
        data = json.loads(text)
        world = WorldData(
            json.dumps(data["sections"], ensure_ascii=False),
            {name: b64decode(data) for name, data in data["files"].items()},
            network.from_records(data["network"]),
        )
        scenario = Scenario.model_validate(_without_defaults(data["definition"]))
        agents = {agent: tuple(names) for agent, names in start["agents"].items()}
        lang, seed, digest = start["lang"], start["seed"], start["scenario_sha256"]
        variant = start["scenario"].partition("@")[2] or None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"its trace holds a scenario that cannot be read: {error}") from error
    for name in itertools.chain(*agents.values()):
        if problem := catalogue.problem_with(name):
            raise InputError(f"its world cannot be made here: {problem}")
    tools = {agent: catalogue.expand(names) for agent, names in agents.items()}
    instance = Instance(scenario, variant, lang, seed, digest, tools, world, text)
    return RecordedScenario(instance, _changes(start.get("tools"), tools))


def _without_defaults(definition: Any) -> Any:
    """Return a definition without the defaults that a file may leave out but not state."""
    texts = [(definition, "description")]
    agents = definition.get("agents", {}).values()
    texts += [(agent, key) for agent in agents for key in ("prompt", "about")]
    texts += [(rule, "rewrite") for rule in definition.get("rules", ())]
    for part, key in texts:
        if part.get(key) == {}:
            del part[key]
    network = definition.get("world", {}).get("network")
    for host in network["hosts"].values() if isinstance(network, dict) else ():
        if not host.get("accept"):
            host.pop("reply", None)
    return definition


def _changes(text: object, tools: Mapping[str, tuple[Tool, ...]]) -> tuple[str, ...]:
    if not isinstance(text, str):
        return ()
    before = {tool["name"]: tool for tool in json.loads(text)}
    now = {tool.name: tool.as_data() for granted in tools.values() for tool in granted}
    return tuple(name for name, data in now.items() if before.get(name) != data)
