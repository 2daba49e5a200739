"""Stages of monitors: declared once, and everything that depends on them follows."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sandbox.detectors.call import WORDS
from sandbox.enums import Stage
from sandbox.monitors.judges.schema import JudgeFile
from sandbox.scenario.checks import RULE_VARIABLES
from sandbox.scenario.schema import Rule
from sandbox.scenario.stages import SUBJECTS, stages_of

RULE = {"id": "a", "when": "true", "reason": "because"}
JUDGE = {"schema": 1, "kind": "judge", "title": "t", "prompt": "p", "reason": "r"}


@pytest.mark.parametrize("stage", SUBJECTS)
def test_what_may_be_written_for_a_stage(stage: Stage) -> None:
    """Rules judge calls, results and words; a judge's file names the first two; a run is judged at its end."""
    subject = SUBJECTS[stage]
    for model, data, subjects in (
        (Rule, RULE, ("call", "result", "words")),
        (JudgeFile, JUDGE, ("call", "result")),
    ):
        if subject in subjects:
            assert model.model_validate({**data, "stage": stage}).stage == stage
        else:
            with pytest.raises(ValidationError, match="Input should be 'before'"):
                model.model_validate({**data, "stage": stage})


def test_what_a_stage_has_to_judge() -> None:
    """Conditions see a result and effects where there are any, and words stand for a tool's argument."""
    with_result = {stage for stage, names in RULE_VARIABLES.items() if "result" in names}
    assert with_result == set(stages_of("result"))
    assert tuple(WORDS) == stages_of("words")
    assert all(tool.name == stage for stage, tool in WORDS.items())
