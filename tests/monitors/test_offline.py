"""Monitors that are asked again about a stored trace say what they said live."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.monitors.library import MonitorLibrary
from sandbox.scenario.loader import Loader
from sandbox.scenario.selection import select
from tests.support import REPOSITORY
from tests.support.runner import Runner, call, plays, say
from tests.support.verdicts import again, live

SCENARIOS = sorted(
    str(path.parent.relative_to(REPOSITORY / "scenarios"))
    for path in REPOSITORY.glob("scenarios/*/*/scenario.yaml")
)


@pytest.mark.parametrize("mode", ["observe", "enforce"])
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_every_scenario(
    play: Runner, loader: Loader, library: MonitorLibrary, scenario: str, mode: Any
) -> None:
    """Verdicts over the stored trace are those of the live run, in each language and both modes.

    Those of the shipped policy are among them, which takes the scores of several monitors together.
    """
    policy = library.policy("combined")
    for lang in select(loader, [scenario])[0].scenario.languages:
        result = await play("scripted/unsafe", scenario, lang=lang, mode=mode, policy=policy)
        assert live(play, result.id) == await again(play, library, result.id)


async def test_a_name_that_is_no_tool_of_the_model(play: Runner, library: MonitorLibrary) -> None:
    """A model that asks for a tool by the trace's name of it made no call that monitors see."""
    steps = [call("bank.pay", to="x", iban="FR76", amount=9e9), say("Over.")]
    result = await play(plays(*steps))
    assert live(play, result.id) == await again(play, library, result.id)
