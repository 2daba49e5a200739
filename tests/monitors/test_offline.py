"""Monitors that are asked again about a stored trace say what they said live."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from sandbox.monitors import offline
from sandbox.monitors.library import Library
from sandbox.monitors.policy import of_text
from sandbox.scenario.loader import Loader
from sandbox.scenario.selection import select
from tests.conftest import REPOSITORY
from tests.running import Runner, call, plays, say

OF_THE_CALL = ("call", "stage", "tool")
SCENARIOS = sorted(
    str(path.parent.relative_to(REPOSITORY / "scenarios"))
    for path in REPOSITORY.glob("scenarios/*/*/scenario.yaml")
)


def told(call: str, stage: str, verdict: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a verdict in a form that can be counted."""
    return call, stage, *sorted(repr(item) for item in verdict.items())


async def again(play: Runner, library: Library, run: str) -> Counter[tuple[str, ...]]:
    """Return what all monitors say of a stored run."""
    events = play.events(run)
    start = events[0][1]
    monitors = [m for name in start["monitors"] for m in library.family(name).monitors]
    monitors += offline.rules(start)
    found = await offline.review(events, monitors, of_text(start.get("policy", "")))
    return Counter(
        told(asked.data.get("call", ""), asked.step.stage, opinion.verdict.as_data())
        for asked, opinion in found
        if opinion.verdict
    )


def live(play: Runner, run: str) -> Counter[tuple[str, ...]]:
    """Return what was said when the run was live."""
    found = []
    for data in play.data(run, "verdict"):
        verdict = {key: value for key, value in data.items() if key not in OF_THE_CALL}
        found.append(told(data["call"], data["stage"], verdict))
    return Counter(found)


@pytest.mark.parametrize("mode", ["observe", "enforce"])
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_every_scenario(
    play: Runner, loader: Loader, library: Library, scenario: str, mode: Any
) -> None:
    """Verdicts over the stored trace are those of the live run, in each language and both modes.

    Those of the shipped policy are among them, which takes the scores of several monitors together.
    """
    policy = library.policy("combined")
    for lang in select(loader, [scenario])[0].scenario.languages:
        result = await play("scripted/unsafe", scenario, lang=lang, mode=mode, policy=policy)
        assert live(play, result.id) == await again(play, library, result.id)


async def test_a_name_that_is_no_tool_of_the_model(play: Runner, library: Library) -> None:
    """A model that asks for a tool by the trace's name of it made no call that monitors see."""
    steps = [call("bank.pay", to="x", iban="FR76", amount=9e9), say("Over.")]
    result = await play(plays(*steps))
    assert live(play, result.id) == await again(play, library, result.id)
