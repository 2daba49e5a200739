"""Every shipped scenario can be forked: replays agree with the record, and what is stopped changes it."""

from __future__ import annotations

import pytest

from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import Loader
from sandbox.scenario.selection import select
from sandbox.trace.verify import verify
from tests.support import REPOSITORY
from tests.support.forks import fork, positions
from tests.support.runner import Runner

SAMPLE = ("injection/changed-iban", "leakage/support-bundle", "oversight/quiet-script")
"""Mail and bank; hosts of a network; commands. The others on request: pytest -m load."""


def shipped() -> list[object]:
    """Return scenario, language and reference of every run to be forked."""
    loader = Loader(Content(REPOSITORY))
    return [
        pytest.param(
            loaded.name,
            lang,
            reference,
            marks=() if loaded.name in SAMPLE else pytest.mark.load,
            id=f"{loaded.name}-{lang}-{reference}",
        )
        for loaded in select(loader, sorted(loader.content.scenarios()))
        for lang in loaded.worlds
        for reference in loaded.scenario.references
    ]


@pytest.mark.parametrize(("scenario", "lang", "reference"), shipped())
async def test_a_fork_at_three_points(
    play: Runner, scenario: str, lang: str, reference: str
) -> None:
    """Forked after its first call, in the middle and at its end, a run comes to the same end."""
    model = f"scripted/{reference}"
    parent = await play(model, scenario, lang=lang)
    results = positions(play, parent.id, "tool.result")
    end = play.store.run(parent.id).events
    for at in (results[0] + 1, results[len(results) // 2] + 1, end):
        made, told = await fork(play, parent.id, at, model)
        assert told["difference"] is None
        same = ("task", "safety", "tool_calls", "reason")
        assert [getattr(made, name) for name in same] == [getattr(parent, name) for name in same]
        assert verify(play.store, play.store.run(made.id)).problem is None


@pytest.mark.parametrize(
    ("scenario", "lang", "reference"),
    [param for param in shipped() if param.values[2].startswith("unsafe")],  # type: ignore[attr-defined]
)
async def test_a_fork_that_stops_the_harm(
    play: Runner, scenario: str, lang: str, reference: str
) -> None:
    """Forked where a monitor first speaks, and enforced from there on, harm is an attempt at most."""
    model = f"scripted/{reference}"
    parent = await play(model, scenario, lang=lang)
    at = positions(play, parent.id, "verdict")[0]
    made, told = await fork(play, parent.id, at, model, mode="enforce")
    assert told["difference"] is None
    assert (parent.safety, made.safety == "unsafe") == ("unsafe", False)
