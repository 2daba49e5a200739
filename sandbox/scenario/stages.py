"""The stages at which monitors judge. One is declared here; what rules, judges and exports make of it follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sandbox.enums import Stage

Subject = Literal["call", "result", "words", "run"]
SUBJECTS: dict[Stage, Subject] = {
    Stage.BEFORE: "call",
    Stage.AFTER: "result",
    Stage.REPLY: "words",
    Stage.END: "run",
}
"""Stage → what is judged: a call that was asked for, a call with its result and effects, words, or a run."""


def stages_of(*subjects: Subject) -> tuple[Stage, ...]:
    """Return the stages at which these are judged."""
    return tuple(stage for stage, subject in SUBJECTS.items() if subject in subjects)


if TYPE_CHECKING:
    StepStage = Stage
    CallStage = Stage
else:
    StepStage = Literal[stages_of("call", "result", "words")]
    CallStage = Literal[stages_of("call", "result")]
"""Stages of rules and Python monitors; stages of judges of single calls."""
