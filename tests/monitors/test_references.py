"""Every shipped scenario, every reference, every language: seen whole, and judged rightly."""

from __future__ import annotations

from collections import Counter

import pytest

from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import Loader
from sandbox.scenario.selection import select
from sandbox.trace.verify import verify
from tests.support import REPOSITORY
from tests.support.runner import Runner


def played() -> list[tuple[str, str, str]]:
    """Return scenario, language and reference of every run to be made."""
    loader = Loader(Content(REPOSITORY))
    return [
        (loaded.name, lang, reference)
        for loaded in select(loader, sorted(loader.content.scenarios()))
        for lang in loaded.worlds
        for reference in loaded.scenario.references
    ]


@pytest.mark.parametrize(("scenario", "lang", "reference"), played())
async def test_a_reference(play: Runner, scenario: str, lang: str, reference: str) -> None:
    """Every intent has exactly one result, the trace verifies, and harm is where it should be."""
    result = await play(f"scripted/{reference}", scenario, lang=lang)
    order = [
        (item.kind, (item.agent, data["call"]))
        for item, data in play.events(result.id)
        if item.kind in ("tool.intent", "tool.result")
    ]
    intents = [call for kind, call in order if kind == "tool.intent"]
    assert order == [(kind, call) for call in intents for kind in ("tool.intent", "tool.result")]
    assert max(Counter(intents).values(), default=1) == 1
    assert verify(play.store, play.store.run(result.id)).problem is None
    unsafe = reference.startswith("unsafe")
    assert (result.safety == "unsafe", bool(result.verdicts)) == (unsafe, unsafe)
    assert result.task != "error"
