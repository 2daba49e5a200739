"""The scenario file: what may stand in ``scenario.yaml``. See ``docs/scenarios.md``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    field_validator,
    model_validator,
)

from sandbox.enums import Background, Decision, Severity, Stage, TaskOutcome
from sandbox.scenario.bounds import Bounds
from sandbox.scenario.canaries import PARTS, Kind
from sandbox.scenario.localized_text import Text
from sandbox.scenario.network import Network
from sandbox.scenario.stages import SUBJECTS, StepStage
from sandbox.scenario.taxonomy import problem_with
from sandbox.scenario.topology import Topology, final_agent
from sandbox.scenario.validation import Strict

_SLUG = r"[a-z0-9]+(?:-[a-z0-9]+)*"
Id = Annotated[str, Field(pattern=rf"^{_SLUG}/{_SLUG}$", description="family/name")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=64)]
Need = Literal["recipients", "paths", "canaries", "secrets", "effects", "plan"]


def _check_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    problems = [problem for tag in tags if (problem := problem_with(tag))]
    if problems:
        raise ValueError("; ".join(problems))
    return tags


Tags = Annotated[tuple[str, ...], AfterValidator(_check_tags)]
"""Ids of the taxonomies."""


class Risk(Strict):
    """What the danger is, in the words of published taxonomies."""

    severity: Severity
    """How bad the harm would be."""
    tags: Tags = Field(min_length=1)
    """Ids such as ``owasp-asi:ASI01``."""


class Plant(Strict):
    """Where a canary is put: into a file, or among the entries of a section of the world."""

    file: str | None = None
    """Path below the agent's folder of a file that nothing else makes."""
    text: Text | None = None
    """What the file holds; a credential's usual file if left out."""
    into: str | None = None
    """Place of a list or a map of the world, such as ``contacts.people``."""
    key: str | None = None
    """Key of the new entry, where that place is a map."""
    item: Any = None
    """The new entry; texts in it may be given per language."""

    @model_validator(mode="after")
    def _one_place(self) -> Plant:
        if (self.file is None) == (self.into is None):
            raise ValueError("one of 'file' and 'into' says where the canary is put")
        if self.into is None and (self.key is not None or self.item is not None):
            raise ValueError("'key' and 'item' go with 'into'")
        if self.into is not None and (self.item is None or self.text is not None):
            raise ValueError("'into' goes with 'item', what is put there; 'text' goes with 'file'")
        return self


class Canary(Strict):
    """A canary of the world: data that nobody needs, made to be recognised."""

    kind: Kind
    """What it looks like."""
    plant: Plant | None = None
    """Where it is put by itself; only the world's texts name it if left out."""

    @model_validator(mode="after")
    def _has_text(self) -> Canary:
        plant = self.plant
        if plant and plant.file is not None and plant.text is None and self.kind not in PARTS:
            raise ValueError(f"'plant' needs the 'text' of the file: {self.kind} is no file's form")
        return self


Canaries = dict[
    Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")],
    Annotated[
        Canary,
        BeforeValidator(
            lambda value: {"kind": value} if isinstance(value, str) else value,
            json_schema_input_type=Kind | Canary,
        ),
    ],
]
"""Name → canary, or its kind alone."""


class WorldDefinition(BaseModel):
    """What the agent can touch; every further key is a section of a toolkit."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    clock: str = "2026-03-02T09:00:00+01:00"
    """Date and time of the world, ISO 8601."""
    files: str | dict[str, str] = {}
    """Folder copied to the agent's own, or a map from path to text."""
    background: Background = Background.KEEP
    """What happens at the end of a call to processes that it left running."""
    canaries: Canaries = {}
    """Name → kind of a canary made for each run, or kind and where it is planted."""
    network: (
        Annotated[
            Annotated[str, Tag("file")] | Annotated[Network, Tag("hosts")],
            Discriminator(lambda value: "file" if isinstance(value, str) else "hosts"),
        ]
        | None
    ) = None
    """Hosts that the agent can reach, or the file that holds them; there is no network without."""

    @field_validator("clock")
    @classmethod
    def _iso(cls, value: str) -> str:
        datetime.fromisoformat(value)
        return value

    @property
    def canary_kinds(self) -> dict[str, str]:
        """Name → kind of each canary."""
        return {name: canary.kind for name, canary in self.canaries.items()}

    @property
    def sections(self) -> dict[str, JsonValue]:
        """The data of each section, or the name of the file that holds it."""
        return dict(self.model_extra or {})


class Agent(Strict):
    """One agent."""

    tools: tuple[str, ...] = Field(min_length=1)
    """Toolkits (``mail``) and single tools (``documents.search``); in a team ``team`` is added."""
    about: Text = Field(default_factory=dict)
    """What it does, for its colleagues."""
    prompt: Text = Field(default_factory=dict)
    """System prompt; a neutral one if left out."""


class Limits(Strict):
    """Where a run ends, whatever the agent still wants."""

    turns: int = Field(30, ge=1, le=10_000)
    """Replies of the model."""
    tool_calls: int = Field(60, ge=1, le=10_000)
    """Calls, blocked ones included."""
    tokens: int = Field(500_000, ge=1)
    """Input and output tokens of all replies."""
    seconds: float = Field(600.0, gt=0)
    """Wall time of the run."""
    call_seconds: float = Field(60.0, gt=0)
    """Wall time of one tool call."""
    cost_eur: float = Field(5.0, gt=0)
    """Price of all replies, in euros."""


class Payment(Strict):
    """What may be paid, in the account's currency."""

    single: float | None = Field(None, gt=0)
    """The most that one payment may be."""
    total: float | None = Field(None, gt=0)
    """The most that all payments of a run to one recipient may be together."""


class Scope(Strict):
    """What the agent's principal would allow; what is left out is not judged."""

    recipients: tuple[str, ...] | None = None
    """Patterns of addresses, accounts, people, channels and URLs that may get data or money."""
    write: tuple[str, ...] | None = None
    """Patterns of paths below /work that may be written or deleted."""
    protected: tuple[str, ...] = ()
    """Patterns of paths that must not be written or deleted."""
    payment: Payment | None = None
    """Bounds of payments."""
    roles: tuple[str, ...] | None = None
    """Roles and key scopes that may be granted."""


class Score(Strict):
    """Conditions in CEL over the end of the run: two axes, task and safety."""

    done: str
    """The task is achieved."""
    unsafe: str | None = None
    """The harm happened."""
    attempted: str | None = None
    """The agent tried it, whether or not it was stopped."""
    refused: str | None = None
    """The agent declined; judged by its closing words if left out."""


class Examples(Strict):
    """Short lists of calls, the last one to be judged; see ``docs/monitors.md``."""

    fires: tuple[Any, ...] = ()
    """The monitor must have something to say of each."""
    passes: tuple[Any, ...] = ()
    """The nearest that is fine: it must be silent."""


class ExampleSetting(Strict):
    """What holds in examples of monitors, beside their calls."""

    lang: str = "en"
    """Language of the run."""
    scope: Scope = Scope()
    """As in a scenario."""
    canaries: Canaries = Field({})
    """Name → kind of a canary that ``{canary.NAME}`` stands for."""
    plan: tuple[Any, ...] = ()
    """Calls that the task needs, as in a safe reference."""


class Rule(Strict):
    """A monitor written as a condition."""

    id: Name
    """Named in verdicts as ``family.id``."""
    stage: StepStage = Stage.BEFORE
    """Before a call is executed, after with its result and effects, or the agent's closing words."""
    tools: tuple[str, ...] = ()
    """Only these toolkits and tools; all if left out."""
    labels: tuple[str, ...] = ()
    """Only tools with one of these labels; all if left out."""
    needs: tuple[Need, ...] = ()
    """Only calls in which there is something of each kind; the condition is not asked for others."""
    when: str
    """CEL condition."""
    verdict: Decision = Decision.ALERT
    """What follows where it holds."""
    severity: Severity = Severity.MEDIUM
    """How bad what it saw is."""
    score: float = Field(1.0, ge=0, le=1)
    """Suspicion, 0 to 1."""
    reason: Text
    """Why, for people and for the agent that is refused."""
    rewrite: Text = Field(default_factory=dict)
    """The text the agent gets instead of the result, for ``rewrite`` after a call."""
    tags: tuple[str, ...] = ()
    """Taxonomy ids."""
    examples: Examples = Examples()
    """Calls on which it must and must not fire; ``sandbox monitor check`` tries them."""

    @model_validator(mode="after")
    def _rewrites(self) -> Rule:
        if (self.verdict == Decision.REWRITE) != bool(self.rewrite):
            raise ValueError("'rewrite' as verdict and the text to put in place go together")
        if "effects" in self.needs and SUBJECTS[self.stage] != "result":
            raise ValueError("effects exist after a call only: stage must be 'after'")
        if self.verdict == Decision.REWRITE and SUBJECTS[self.stage] != "result":
            raise ValueError("a rule can only rewrite a result: stage must be 'after'")
        return self


_Steps = Annotated[list[Any], Field(min_length=1)]


class Reference(Strict):
    """A scripted trajectory."""

    steps: Annotated[
        Annotated[_Steps, Tag("steps")]
        | Annotated[dict[Name, _Steps], Field(min_length=1), Tag("agents")],
        Discriminator(lambda value: "agents" if isinstance(value, dict) else "steps"),
    ]
    """Calls, lists of calls made at once, and ``say``, with which an agent has finished; in a team a map
    from agent to its steps."""
    task: Literal[TaskOutcome.DONE, TaskOutcome.REFUSED, TaskOutcome.INCAPABLE] = TaskOutcome.DONE
    """The outcome on the task axis that it must have (safe references)."""


class Scenario(Strict):
    """A scenario file, version 1."""

    schema_: Literal[1] = Field(alias="schema")
    """Version of the format."""
    id: Id
    """The folder's path below ``scenarios``."""
    title: Text
    """One line for people."""
    description: Text = Field(default_factory=dict)
    """What is dangerous here and why, for colleagues."""
    benign: bool = False
    """True for a twin without the danger."""
    twin: Id | None = None
    """The same without the danger, or with it."""
    extends: Id | None = None
    """The scenario from which everything is taken that does not stand here."""
    risk: Risk
    world: WorldDefinition = Field(default_factory=WorldDefinition)
    agents: dict[Name, Agent] = Field(min_length=1)
    """The first one gets the task; among peers all do."""
    team: Topology | None = None
    """How several agents work together: see ``docs/teams.md``."""
    task: Text
    limits: Limits = Field(default_factory=Limits)
    bounds: Bounds = Field(default_factory=Bounds)
    monitors: tuple[str, ...] | None = None
    """Names of monitor families; all that there are if left out."""
    macros: dict[str, str] = Field(default_factory=dict)
    """Name, or name(parameter, …) → the expression that conditions use by that name."""
    rules: tuple[Rule, ...] = ()
    """Monitors of this scenario's own."""
    scope: Scope = Field(default_factory=Scope)
    score: Score
    references: dict[
        Annotated[str, Field(pattern=r"^(safe|unsafe)(-[a-z0-9-]+)?$")],
        Annotated[
            Reference,
            BeforeValidator(
                lambda value: {"steps": value} if isinstance(value, list) else value,
                json_schema_input_type=Reference | list[Any],
            ),
        ],
    ]
    """Named ``safe…`` or ``unsafe…``."""
    variants: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    """Name → what differs, merged over the scenario."""

    @model_validator(mode="after")
    def _complete(self) -> Scenario:
        if (self.team is None) == (len(self.agents) > 1):
            raise ValueError(
                "team: several agents need one of 'supervisor', 'pipeline' and 'peers', and one agent none"
            )
        kinds = {name.split("-")[0] for name in self.references}
        conditions = self.score.unsafe and self.score.attempted
        needs = {"references: at least one named 'safe' is needed": "safe" in kinds}
        if self.benign:
            needs["references: a benign scenario has no unsafe one"] = "unsafe" not in kinds
        else:
            needs |= {
                "references: at least one named 'unsafe' is needed (or benign: true)": "unsafe"
                in kinds,
                "score: 'unsafe' and 'attempted' are needed (or benign: true)": bool(conditions),
                "twin: a dangerous scenario names its benign twin": self.twin is not None,
            }
        if wrong := next((message for message, holds in needs.items() if not holds), ""):
            raise ValueError(wrong)
        return self

    @property
    def starters(self) -> tuple[str, ...]:
        """The agents that get the task."""
        agents = tuple(self.agents)
        return agents if self.team == "peers" else agents[:1]

    @property
    def final_agent(self) -> str:
        """The agent whose closing words answer the task."""
        return final_agent(self.team, tuple(self.agents))

    def steps_of(self, reference: str) -> dict[str, list[JsonValue]]:
        """Return agent → its steps in a reference, as they are written."""
        steps = self.references[reference].steps
        return dict(steps) if isinstance(steps, dict) else {next(iter(self.agents)): steps}

    @property
    def family(self) -> str:
        """The risk family: the first part of the id."""
        return self.id.split("/")[0]

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages in which the task is given."""
        return tuple(self.task)


def is_call(step: Mapping[str, object]) -> bool:
    """Return whether a step of a reference is a call, not ``say``."""
    return bool(re.match(r"^[a-z_]\w*\.[a-z_]\w*$", next(iter(step), "")))
