"""Reading the data of a scenario's world: sections and files, per language, checked by shape."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic.json_schema import JsonSchemaValue

from sandbox.errors import Problem, ScenarioError, nearest
from sandbox.scenario import teams
from sandbox.scenario.canaries import canary_names, places
from sandbox.scenario.canary_planting import plant_canaries
from sandbox.scenario.instance import WorldData
from sandbox.scenario.network import Network, NetworkData, data_of, texts
from sandbox.scenario.relative_files import TREE_LIMIT, RelativeFiles
from sandbox.scenario.schema import Scenario
from sandbox.scenario.toolkits import Catalogue
from sandbox.scenario.topology import TOOLKIT
from sandbox.scenario.validation import validate
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
        needed = {section for section, (toolkit, _) in self._toolkits.items() if toolkit in used}
        self._sections = sorted({*scenario.world.sections, *needed})

    def read(self, lang: str) -> tuple[WorldData, list[Problem]]:
        """Return the world in a language, and what is wrong with it."""
        problems: list[Problem] = []
        sections: dict[str, Any] = {}
        for name in self._sections:
            try:
                sections[name] = self._section(name, lang, problems)
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

            def shape(section: str) -> Iterator[tuple[tuple[str | int, ...], str]]:
                schema = self._toolkits[section][1]
                yield from _shape_problems(schema, sections[section])
                fill_defaults(schema, sections[section])

            wrong = plant_canaries(self._scenario, lang, sections, files, shape)
            problems += itertools.starmap(self._document.problem, wrong)
        world = WorldData(json.dumps(sections, ensure_ascii=False), files, network)
        return world, [*problems, *self._canary_problems(world)]

    def _section(self, name: str, lang: str, problems: list[Problem]) -> object:
        toolkit, schema = self._toolkits[name]
        place, given = ("world", name), self._scenario.world.sections
        if name not in given:
            if "default" not in schema:
                message = f"the toolkit {toolkit!r} needs the section {name!r} in world"
                problems.append(self._document.problem(("world",), message))
            data = Located(copy.deepcopy(schema.get("default")))
            if data.data is None:
                return None
        elif isinstance(file := given[name], str):
            data = self._files_of(self._document).document(file, place, lang)
        else:
            data = self._document.part(place)
        problems += itertools.starmap(data.problem, _shape_problems(schema, data.data))
        return fill_defaults(schema, data.data)

    def _files_of(self, document: Located) -> RelativeFiles:
        return RelativeFiles(self._folder, document)

    def _files(self, lang: str) -> dict[str, bytes]:
        given = self._scenario.world.files
        place = ("world", "files")
        if not isinstance(given, dict):
            return self._files_of(self._document).tree(given, place, lang)
        for name in given:
            parts = Path(name).parts
            if Path(name).is_absolute() or ".." in parts or not parts or "\0" in name:
                message = f"{name!r} is no path inside the agent's folder"
                raise self._document.error((*place, name), message)
        return {name: text.encode() for name, text in given.items()}

    def _network(self, lang: str) -> NetworkData:
        given = self._scenario.world.network
        place: tuple[str, ...] = ("world", "network")
        document = self._document
        if given is None:
            return {}
        if isinstance(given, str):
            document = self._files_of(document).document(given, place, lang)
            given, place = validate(Network, document), ()
        files, pages, left = self._files_of(document), {}, TREE_LIMIT
        for name, host in given.hosts.items():
            if host.pages:
                pages[name] = files.tree(host.pages, (*place, "hosts", name, "pages"), lang, left)
                left -= sum(map(len, pages[name].values()))
        return data_of(given, pages, lang)

    def _canary_problems(self, world: WorldData) -> Iterator[Problem]:
        names = canary_names(world.sections)
        for data in (*world.files.values(), *texts(world.network)):
            names |= canary_names(data.decode("utf-8", "replace")) if b"{canary." in data else set()
        for name in sorted(names - places(self._scenario.world.canary_kinds)):
            message = f"the world names the canary {name!r}, which world.canaries does not declare"
            yield self._document.problem(("world", "canaries"), message)


def fill_defaults(schema: JsonSchemaValue, data: Any) -> Any:
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
    schema: JsonSchemaValue, data: Any
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for error in _validator(json.dumps(schema)).iter_errors(data):
        path = tuple(error.absolute_path)
        if error.validator == "additionalProperties" and error.validator_value is False:
            known = error.schema.get("properties", {})
            for key in sorted(error.instance.keys() - known.keys()):
                yield (*path, key), f"unknown key {key!r}{nearest(key, known)}"
            continue
        message = error.message if len(error.message) < 200 else f"{error.message[:200]}…"
        yield path, f"{'.'.join(map(str, path)) or 'section'}: {message}"
