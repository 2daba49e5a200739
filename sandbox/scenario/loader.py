"""Loading a scenario: merged, validated, and every name and expression in it checked."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.errors import InputError, Problem, ScenarioError, nearest
from sandbox.scenario import checks, merge, network
from sandbox.scenario.bounds import Bounds
from sandbox.scenario.content_paths import Content, scenario_id
from sandbox.scenario.instance import Instance, WorldData
from sandbox.scenario.schema import Scenario
from sandbox.scenario.teams import agent_tools
from sandbox.scenario.toolkits import Catalogue
from sandbox.scenario.validation import validate
from sandbox.scenario.world_loader import WorldReader
from sandbox.scenario.yaml_positions import Located

__all__ = ["LoadedScenario", "Loader"]


@dataclass(frozen=True)
class LoadedScenario:
    """A scenario that is in order."""

    scenario: Scenario
    variant: str | None
    folder: Path
    document: Located = field(repr=False)
    worlds: dict[str, WorldData] = field(repr=False)
    """Language → data of the world."""
    catalogue: Catalogue = field(repr=False)
    digest: str
    """SHA-256 over the scenario as merged and all data of its world, in hex."""
    _evidence_texts: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The scenario's id, with the variant behind ``@``."""
        return f"{self.scenario.id}@{self.variant}" if self.variant else self.scenario.id

    def instance(self, lang: str, seed: int) -> Instance:
        """Return the scenario made ready for one run.

        Raises:
            InputError: The scenario does not exist in this language.
        """
        if lang not in self.worlds:
            raise InputError(f"{self.name} has no language {lang!r}{nearest(lang, self.worlds)}")
        agents = self.scenario.agents
        tools = {name: self.catalogue.expand(agent_tools(self.scenario, name)) for name in agents}
        return Instance(
            self.scenario,
            self.variant,
            lang,
            seed,
            self.digest,
            tools,
            self.worlds[lang],
            self._evidence(lang),
        )

    def _evidence(self, lang: str) -> str:
        """Return definition and world as one text; the same object for every run."""
        if lang not in self._evidence_texts:
            world = self.worlds[lang]
            data = {
                "definition": self.scenario.model_dump(mode="json", by_alias=True),
                "sections": json.loads(world.sections),
                "files": {name: b64encode(data).decode() for name, data in world.files.items()},
                "network": json.loads(network.as_text(world.network)),
            }
            # Keys keep their order, which tools show: a world made from this text is the same one.
            self._evidence_texts[lang] = json.dumps(data)
        return self._evidence_texts[lang]


class Loader:
    """Loads scenarios of one workspace."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.catalogue = Catalogue(content)
        self._monitors = tuple(content.files("monitors", (".yaml", ".py")))

    def load(self, folder: Path, variant: str | None = None) -> LoadedScenario:
        """Load the scenario in a folder.

        Raises:
            ScenarioError: With everything that is wrong in it, by file and line.
        """
        document = merge.read(folder, self.content, variant)
        scenario = validate(Scenario, document)
        problems = list(self._name_problems(folder, scenario, document))
        problems += checks.check(scenario, document, self.catalogue, self._monitors)
        worlds: dict[str, WorldData] = {}
        if not problems:
            reader = WorldReader(folder, document, scenario, self.catalogue)
            for lang in scenario.languages:
                worlds[lang], found = reader.read(lang)
                problems += [problem for problem in found if problem not in problems]
        if problems:
            raise ScenarioError(problems)
        digest = _digest(scenario, worlds)
        return LoadedScenario(scenario, variant, folder, document, worlds, self.catalogue, digest)

    def _name_problems(
        self, folder: Path, scenario: Scenario, document: Located
    ) -> Iterator[Problem]:
        expected, twin = scenario_id(folder), scenario.twin
        known = self.content.scenarios()
        if scenario.id != expected:
            message = f"id is {scenario.id!r}, but its folder makes it {expected!r}"
            yield document.problem(("id",), message)
        elif twin and not (
            twin in known or (folder.parent.parent / twin / "scenario.yaml").is_file()
        ):
            yield document.problem(("twin",), f"unknown scenario {twin!r}{nearest(twin, known)}")


def _digest(scenario: Scenario, worlds: dict[str, WorldData]) -> str:
    # the usual bounds are left out: scenarios from before there were others keep their digest
    without = {"bounds"} if scenario.bounds == Bounds() else None
    digest = hashlib.sha256(scenario.model_dump_json(by_alias=True, exclude=without).encode())
    for lang, world in sorted(worlds.items()):
        digest.update(json.dumps([lang, world.sections]).encode())
        for name, data in sorted(world.files.items()):
            digest.update(json.dumps([name, hashlib.sha256(data).hexdigest()]).encode())
        digest.update(network.as_text(world.network).encode())
    return digest.hexdigest()
