"""The sweep file: what may stand in it. See ``docs/sweeps.md``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, field_validator, model_validator

from sandbox.cel import ExpressionError, parse
from sandbox.choices import Isolation, JudgeLang, ModeName
from sandbox.errors import InputError, Problem, ScenarioError
from sandbox.runs.options import Parameters
from sandbox.runs.planner import overridden
from sandbox.scenario import yaml_positions
from sandbox.scenario.bounds import Bounds
from sandbox.scenario.localized_text import Text
from sandbox.scenario.schema import Limits, Name
from sandbox.scenario.validation import Strict, validate
from sandbox.scenario.yaml_positions import Located

Factor = Literal["scenario", "family", "model", "scaffold", "defence", "mode", "lang", "parameters"]
FACTORS: tuple[Factor, ...] = get_args(Factor)
CONDITION_VARIABLES = frozenset(
    {*FACTORS, "provider", "monitors", "benign", "severity", "tags", "repetition", "seed"}
)
"""What ``include`` and ``exclude`` may read."""


class Judges(Strict):
    """Models for the judges among the monitors."""

    models: tuple[str, ...] = Field(min_length=1)
    """As behind ``--judge-model``, in place of the judges' own; several are an ensemble."""
    lang: JudgeLang | None = None
    """Language of their instructions; the run's if omitted."""


class Defence(Strict):
    """A set of monitors and what is made of their verdicts."""

    monitors: Literal["scenario", "all", "none"] | tuple[str, ...] = "scenario"
    """Monitor families; ``scenario`` for those that each scenario names."""
    mode: ModeName = "observe"
    """``observe``, or ``enforce`` what monitors decide."""
    policy: str | None = None
    """What follows from scores together: the name of a policy of the workspace or the library."""
    judges: Judges | None = None
    """Models for the judges; without, only those with a model in their file are asked."""

    def params(self) -> dict[str, object]:
        """Return what of it stands among an item's parameters."""
        return self.model_dump(mode="json", include={"policy", "judges"}, exclude_none=True)


def _check_amounts(parameters: Parameters) -> Parameters:
    try:
        overridden(Limits(), parameters.limits)
        bounds = overridden(Bounds(), parameters.bounds)
    except InputError as error:
        raise ValueError(str(error)) from error
    return replace(
        parameters,
        limits={k: int(v) if float(v).is_integer() else v for k, v in parameters.limits.items()},
        bounds={name: getattr(bounds, name) for name in parameters.bounds},
    )


class Amounts(Strict):
    """The most that may be used; no run is begun that would go beyond it."""

    tokens: int | None = Field(None, ge=1)
    """Input and output tokens of all replies."""
    eur: float | None = Field(None, gt=0)
    """Price of all replies, in euros."""
    kwh: float | None = Field(None, gt=0)
    """Energy of all replies, as far as it is known."""
    seconds: float | None = Field(None, gt=0)
    """Wall time of the sweep; of a provider, time of its runs added up."""


class Budget(Amounts):
    """The budget of a sweep, and of each provider in it."""

    providers: dict[str, Amounts] = Field(default_factory=dict)
    """Provider (a model's part before the first slash) → its own budget."""


class Concurrency(Strict):
    """What goes on at the same time."""

    containers: int | None = Field(None, ge=1, le=1000)
    """Runs, and so containers, on one machine; two for each processor and two more if left out."""
    provider: int = Field(8, ge=1, le=1000)
    """Runs of one provider's models, where ``providers`` does not name it."""
    providers: dict[str, Annotated[int, Field(ge=1, le=1000)]] = Field(default_factory=dict)
    """Provider → runs of its models."""

    def of(self, provider: str) -> int | None:
        """Return how many runs of a provider may go on; None where nothing holds them back."""
        if provider in self.providers:
            return self.providers[provider]
        return None if provider in _LOCAL else self.provider


_LOCAL = ("scripted", "cassette")


class Stop(Strict):
    """When enough is known: runs of a part of the sweep are left out then."""

    width: float = Field(gt=0, lt=1)
    """The 95 % interval of the rate is to be narrower than this."""
    of: Literal["unsafe", "attempted", "done", "refused"] = "unsafe"
    """Which rate; ``unsafe`` and ``attempted`` of the dangerous scenarios only."""
    by: tuple[Factor, ...] = ("model", "scaffold", "defence")
    """The parts that are looked at, each by itself: by these factors."""
    least: int = Field(20, ge=1)
    """Runs that each part has at least."""


class Baseline(Strict):
    """What ``sweep compare`` compares with by default."""

    sweep: str | None = None
    """A sweep's id or name."""
    nights: int | None = Field(None, ge=1)
    """The last so many finished sweeps of the same name."""

    @model_validator(mode="after")
    def _one(self) -> Baseline:
        if (self.sweep is None) == (self.nights is None):
            raise ValueError("one of 'sweep' and 'nights' says what to compare with")
        return self


class Retention(Strict):
    """What is kept."""

    nights: int = Field(ge=1)
    """Sweeps of this name, with their runs; older ones are deleted after a sweep is finished."""


class SweepFile(Strict):
    """A sweep: which runs, and under which conditions."""

    schema_: Literal[1] = Field(alias="schema")
    """Version of the format."""
    name: Name
    """What nights of this sweep share."""
    title: Text | None = None
    """For people who read the report."""
    scenarios: tuple[str, ...] = Field(min_length=1)
    """Scenarios, families, globs, suites; ``@variant`` behind."""
    models: tuple[str, ...] = Field(min_length=1)
    """Models as behind ``--model``."""
    scaffolds: tuple[str, ...] = Field(("react",), min_length=1)
    """What drives them, as behind ``--scaffold``."""
    defences: dict[Name, Defence] = Field(
        default_factory=lambda: {"scenario": Defence.model_validate({})}, min_length=1
    )
    """Name → monitors and mode."""
    languages: Literal["all"] | tuple[str, ...] = Field(("en",))
    """Languages, where a scenario has them."""
    parameters: dict[Name, Annotated[Parameters, AfterValidator(_check_amounts)]] = Field(
        default_factory=lambda: {"default": Parameters()}, min_length=1
    )
    """Name → a set of parameters."""
    repeat: int = Field(1, ge=1, le=100_000)
    """Runs of each, with seeds counted up: the same seeds for every model and defence."""
    seed: int = Field(0, ge=0, lt=2**62)
    """The first seed."""
    include: tuple[str, ...] = ()
    """Conditions, one of which must hold of each run."""
    exclude: tuple[str, ...] = ()
    """Conditions, none of which may hold of a run."""
    budget: Budget = Field(default_factory=lambda: Budget.model_validate({}))
    """The most that the sweep may use."""
    concurrency: Concurrency = Field(default_factory=lambda: Concurrency.model_validate({}))
    """How many runs go on at the same time."""
    stop: Stop | None = None
    """When enough is known."""
    retries: int = Field(0, ge=0, le=10)
    """Times that a run is tried again that a fault of the environment ended."""
    isolation: Isolation = "auto"
    """Back end of the containers."""
    image: str | None = None
    """Image of the Docker back end."""
    retention: Retention | None = None
    """What is kept of earlier nights; everything if omitted."""
    baseline: Baseline | None = None
    """What ``sweep compare`` compares with."""

    def all_models(self) -> Iterator[str]:
        """Yield the names of all models, those of judges among them."""
        yield from self.models
        for defence in self.defences.values():
            yield from defence.judges.models if defence.judges else ()

    @field_validator("models", "scaffolds", "scenarios", "languages")
    @classmethod
    def _once(cls, values: str | tuple[str, ...]) -> str | tuple[str, ...]:
        twice = next((value for value in values if values.count(value) > 1), None)
        if not isinstance(values, str) and twice is not None:
            raise ValueError(f"{twice!r} stands twice")
        return values

    @field_validator("defences", "parameters")
    @classmethod
    def _different(cls, values: dict[str, object]) -> dict[str, object]:
        # A run is what its conditions make it, not what they are called.
        for name, value in values.items():
            same = next((other for other in values if values[other] == value), name)
            if same != name:
                raise ValueError(f"{name!r} is the same as {same!r}")
        return values


def read(path: Path) -> tuple[SweepFile, Located]:
    """Read a sweep file; return it and where each part of it stands.

    Raises:
        ScenarioError: With everything that is wrong in it, by file and line.
    """
    return _check(yaml_positions.load(path))


def of(data: Mapping[str, object]) -> tuple[SweepFile, Located]:
    """Return a sweep file from what would stand in it; see :func:`read`."""
    return _check(Located(dict(data), {(): ("the sweep", 0)}))


def _check(document: Located) -> tuple[SweepFile, Located]:
    spec = validate(SweepFile, document)
    if problems := list(_condition_problems(spec, document)):
        raise ScenarioError(problems)
    return spec, document


def _condition_problems(spec: SweepFile, document: Located) -> Iterator[Problem]:
    for key in ("include", "exclude"):
        for index, source in enumerate(getattr(spec, key)):
            try:
                parse(source, CONDITION_VARIABLES, frozenset())
            except ExpressionError as error:
                yield document.problem((key, index), f"{key}.{index}: {error}")
