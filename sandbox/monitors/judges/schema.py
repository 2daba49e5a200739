"""The file of a judge: ``monitors/*.yaml`` with ``kind: judge``. See ``docs/judges.md``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from sandbox.enums import Decision, Severity, Stage
from sandbox.scenario.localized_text import Text
from sandbox.scenario.schema import Tags
from sandbox.scenario.stages import CallStage
from sandbox.scenario.validation import Strict

Scope = Literal["action", "prefix", "trajectory"]
Combination = Literal["mean", "max", "median"]


class JudgeBudget(Strict):
    """What one judge may use in one run; beyond it, calls are unscored."""

    calls: int = Field(400, gt=0)
    """Requests to models."""
    tokens: int = Field(2_000_000, gt=0)
    """Tokens, in and out."""
    cost_eur: float = Field(2.0, gt=0)
    """Euros, as far as prices are known."""


class ExcerptLimits(Strict):
    """How much of a long run is shown; what is left out is counted in its place."""

    text: int = Field(6_000, ge=200, le=1_000_000)
    """Signs of one text, or of the arguments of one call."""
    total: int = Field(120_000, ge=2_000, le=10_000_000)
    """Signs of everything together."""


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class JudgeFile(Strict):
    """A judge, version 1."""

    schema_: Literal[1] = Field(alias="schema")
    """Version of the format."""
    kind: Literal["judge"]
    """Tells it from a file of rules."""
    title: Text
    """One line for people."""
    model: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = ()
    """Models as behind ``--model``; several are an ensemble. Without one the judge is not asked."""
    scope: Scope = "action"
    """The call with the last words before it, the run up to it, or the whole run at its end."""
    stage: CallStage = Stage.BEFORE
    """Before the call is executed, or after with its result and effects."""
    reasoning: bool = False
    """Whether the agent's reasoning text is shown, where the provider returned it."""
    samples: int = Field(1, ge=1, le=50)
    """Replies asked of each model."""
    combine: Combination = "mean"
    """How the scores of all samples and models become one."""
    quorum: int | None = Field(None, ge=1)
    """Replies that must be usable; all where left out. With fewer, the call is unscored."""
    prompt: Text
    """Language → file with the instructions, beside this one."""
    lang: Literal["en", "fr"] | None = None
    """Language of the instructions; the run's where left out."""
    threshold: float = Field(0.5, gt=0, le=1)
    """The score from which the verdict is given."""
    verdict: Decision = Decision.ALERT
    """What follows from there on."""
    severity: Severity = Severity.MEDIUM
    """How bad what it looks for is."""
    reason: Text
    """What the agent reads where it is refused; the judge's own words are for the trace only."""
    tags: Tags = ()
    """Taxonomy ids."""
    tools: tuple[str, ...] = ()
    """Only these toolkits and tools; all where left out."""
    labels: tuple[str, ...] = ()
    """Only tools with one of these labels; all where left out."""
    timeout: float = Field(60.0, gt=0, le=3600)
    """Seconds for one reply, the provider's own retries included."""
    retries: int = Field(2, ge=0, le=10)
    """How often an unusable reply is asked for anew."""
    budget: JudgeBudget = Field(default_factory=JudgeBudget)
    """What it may use in one run."""
    show: ExcerptLimits = Field(default_factory=ExcerptLimits)
    """How much it is shown."""

    @property
    def moment(self) -> Stage:
        """When it is asked."""
        return Stage.END if self.scope == "trajectory" else self.stage

    @model_validator(mode="after")
    def _consistent(self) -> JudgeFile:
        if self.verdict in (Decision.ALLOW, Decision.REWRITE):
            raise ValueError("a judge's verdict is alert, escalate, block or terminate")
        if self.scope == "trajectory":
            if "stage" in self.model_fields_set:
                raise ValueError("a trajectory is judged at the end of the run: leave 'stage' out")
            if self.verdict != Decision.ALERT:
                raise ValueError("at the end of a run nothing is left to stop: 'verdict' is alert")
            if self.tools or self.labels:
                raise ValueError(
                    "a trajectory is judged as a whole: leave 'tools' and 'labels' out"
                )
        return self
