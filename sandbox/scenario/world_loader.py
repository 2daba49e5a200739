"""Reading the data of a scenario's world: sections and files, per language, checked by shape."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.errors import Problem, ScenarioError, nearest
from sandbox.scenario import teams
from sandbox.scenario.canaries import canary_names, places
from sandbox.scenario.canary_planting import Planter
from sandbox.scenario.instance import WorldData
from sandbox.scenario.network import Network, NetworkData, data_of, texts
from sandbox.scenario.relative_files import TREE_LIMIT, Beside
from sandbox.scenario.schema import Scenario
from sandbox.scenario.toolkits import Catalogue
from sandbox.scenario.topology import TOOLKIT
from sandbox.scenario.validation import validated
from sandbox.scenario.yaml_positions import Located


class WorldReader:
    """Reads the world of one scenario."""

    def __init__(
        self, folder: Path, document: Located, scenario: Scenario, catalogue: Catalogue
    ) -> None:
        self._folder = folder
        self._document = document
        self._scenario = scenario
        self._toolkits = {
            section: (toolkit.name, schema)
            for toolkit in catalogue.toolkits()
            for section, schema in toolkit.world.items()
        }
        granted = (name for agent in scenario.agents for name in teams.agent_tools(scenario, agent))
        used = {name.split(".")[0] for name in granted}
        self._needed = {s for s, (toolkit, _) in self._toolkits.items() if toolkit in used}

    def read(self, lang: str) -> tuple[WorldData, list[Problem]]:
        """Return the world in a language, and what is wrong with it."""
        problems: list[Problem] = []
        given = self._scenario.world.sections
        sections: dict[str, Any] = {}
        for name in sorted(given.keys() | self._needed):
            try:
                sections[name] = self._section(name, given, lang, problems)
            except ScenarioError as error:
                problems += error.problems
        if self._scenario.team and isinstance(sections.get(TOOLKIT), dict):
            sections[TOOLKIT]["members"] = teams.members(self._scenario, lang)
        files: dict[str, bytes] = {}
        network: NetworkData = {}
        try:
            files = self._files(lang)
            network = self._network(lang)
        except ScenarioError as error:
            problems += error.problems
        if not problems:
            problems += self._planted(sections, files, lang)
        world = WorldData(json.dumps(sections, ensure_ascii=False), files, network)
        problems += self._canary_problems(world)
        return world, problems

    def _planted(
        self, sections: dict[str, Any], files: dict[str, bytes], lang: str
    ) -> list[Problem]:
        """Plant the decoys that the scenario declares; return what is wrong with them."""

        def shape(section: str) -> Iterator[tuple[tuple[str | int, ...], str]]:
            schema = self._toolkits[section][1]
            yield from _shape_problems(schema, sections[section])
            fill_defaults(schema, sections[section])

        planter = Planter(self._scenario, self._document, lang)
        return [*planter.entries(sections, shape), *planter.files(files)]

    def _section(self, name: str, given: dict[str, Any], lang: str, problems: list[Problem]) -> Any:
        toolkit, schema = self._toolkits[name]
        place = ("world", name)
        if name not in given:
            if "default" not in schema:
                message = f"the toolkit {toolkit!r} needs the section {name!r} in world"
                problems.append(self._document.problem(("world",), message))
            data = Located(copy.deepcopy(schema.get("default")), {})
            if data.data is None:
                return None
        elif isinstance(given[name], str):
            data = Beside(self._folder, self._document).document(given[name], place, lang)
        else:
            size = len(place)
            places = {p[size:]: at for p, at in self._document.places.items() if p[:size] == place}
            data = Located(copy.deepcopy(given[name]), places)
        problems += [
            data.problem(path, message) for path, message in _shape_problems(schema, data.data)
        ]
        return fill_defaults(schema, data.data)

    def _files(self, lang: str) -> dict[str, bytes]:
        given = self._scenario.world.files
        place = ("world", "files")
        if isinstance(given, dict):
            for name in given:
                parts = Path(name).parts
                if Path(name).is_absolute() or ".." in parts or not parts or "\0" in name:
                    message = f"{name!r} is no path inside the agent's folder"
                    raise ScenarioError([self._document.problem((*place, name), message)])
            return {name: text.encode() for name, text in given.items()}
        return Beside(self._folder, self._document).tree(given, place, lang)

    def _network(self, lang: str) -> NetworkData:
        given = self._scenario.world.network
        place: tuple[str, ...] = ("world", "network")
        document = self._document
        if given is None:
            return {}
        if isinstance(given, str):
            document = Beside(self._folder, document).document(given, place, lang)
            given, place = validated(Network, document), ()
        beside, pages, left = Beside(self._folder, document), {}, TREE_LIMIT
        for name, host in given.hosts.items():
            if host.pages:
                found = beside.tree(host.pages, (*place, "hosts", name, "pages"), lang, left)
                left -= sum(map(len, found.values()))
                pages[name] = found
        return data_of(given, pages, lang)

    def _canary_problems(self, world: WorldData) -> Iterator[Problem]:
        named = canary_names(world.sections)
        for data in (*world.files.values(), *texts(world.network)):
            if b"{canary." in data:
                named |= canary_names(data.decode("utf-8", "replace"))
        for name in sorted(named - places(self._scenario.world.canary_kinds)):
            message = f"the world names the canary {name!r}, which world.canaries does not declare"
            yield self._document.problem(("world", "canaries"), message)


def fill_defaults(schema: dict[str, Any], data: Any) -> Any:
    """Return the data with the defaults of properties that it leaves out."""
    if isinstance(data, dict):
        for name, below in schema.get("properties", {}).items():
            if name not in data and "default" in below:
                data[name] = copy.deepcopy(below["default"])
            elif name in data:
                data[name] = fill_defaults(below, data[name])
    elif isinstance(data, list) and isinstance(schema.get("items"), dict):
        return [fill_defaults(schema["items"], item) for item in data]
    return data


@cache
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema))


def _shape_problems(
    schema: dict[str, Any], data: Any
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for error in _validator(json.dumps(schema)).iter_errors(data):
        path = tuple(error.absolute_path)
        if error.validator == "additionalProperties" and error.validator_value is False:
            known = error.schema.get("properties", {})
            for key in sorted(error.instance.keys() - known.keys()):
                yield (*path, key), f"unknown key {key!r}{nearest(key, known)}"
            continue
        shown = ".".join(map(str, path)) or "section"
        yield (
            path,
            f"{shown}: {error.message if len(error.message) < 200 else error.message[:200] + '…'}",
        )
