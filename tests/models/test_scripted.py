"""Scripted models: references played the same every time, mixed at a stated rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import InputError
from sandbox.models.base import ModelRequest
from sandbox.models.resolve import resolve
from sandbox.models.scripted import Scripted
from sandbox.scenario.loader import LoadedScenario, Loader
from sandbox.scenario.selection import select
from tests.support.runner import SCENARIO


@pytest.fixture(scope="module")
def loaded(loader: Loader) -> LoadedScenario:
    """A scenario with one safe and two unsafe references."""
    return select(loader, [SCENARIO])[0]


def bound(name: str, loaded: LoadedScenario, seed: int = 0) -> Scripted:
    """Return the model as it plays one run."""
    model = resolve(name)(loaded.instance("en", seed))
    assert isinstance(model, Scripted)
    return model


@pytest.mark.parametrize("name", ["safe", "unsafe", "unsafe-register"])
def test_a_named_reference(loaded: LoadedScenario, name: str) -> None:
    """A reference is played by its name."""
    assert bound(f"scripted/{name}", loaded).reference == name


def test_a_kind_that_is_missing(loader: Loader) -> None:
    """Where a scenario has no unsafe reference, a safe one is played."""
    benign = select(loader, [f"{SCENARIO}-benign"])[0]
    assert bound("scripted/unsafe", benign).reference == "safe"


async def test_every_step_and_then_nothing(loaded: LoadedScenario) -> None:
    """Each turn gives the next step; after the last there is silence."""
    model = bound("scripted/unsafe", loaded)
    replies = [
        await model.complete(ModelRequest("clerk", turn, [], []), lambda *_: None)
        for turn in range(5)
    ]
    assert [len(reply.calls) for reply in replies] == [1, 1, 1, 0, 0]
    assert [bool(reply.text) for reply in replies] == [False, False, False, True, False]


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_the_rate_of_mixed_runs(loaded: LoadedScenario, rate: float) -> None:
    """Over many seeds, the share of unsafe runs is the stated rate within four standard errors."""
    seeds = 600
    played = [bound(f"scripted/mixed?p={rate}", loaded, seed).reference for seed in range(seeds)]
    share = played.count("unsafe") / seeds
    assert abs(share - rate) < 4 * (rate * (1 - rate) / seeds) ** 0.5


@pytest.mark.parametrize(
    ("rate", "expected"), [("0", {"safe"}), ("1", {"unsafe"}), ("1e0", {"unsafe"})]
)
def test_certain_rates(loaded: LoadedScenario, rate: str, expected: set[str]) -> None:
    """Probabilities of 0 and 1 are certain."""
    played = {bound(f"scripted/mixed?p={rate}", loaded, seed).reference for seed in range(50)}
    assert played == expected


def test_a_draw_is_repeatable_and_of_the_scenario(loader: Loader) -> None:
    """The same seed draws the same; two scenarios of one seed do not always draw alike."""
    both = select(loader, [SCENARIO, "fraud/split-payment"])
    draws = [
        ["unsafe" in bound("scripted/mixed?p=0.5", one, seed).reference for seed in range(40)]
        for one in (*both, *both)
    ]
    assert draws[:2] == draws[2:]
    assert draws[0] != draws[1]


def test_a_higher_rate_keeps_the_unsafe_runs(loaded: LoadedScenario) -> None:
    """A seed that is unsafe at a rate is unsafe at every higher one, so that rates compare."""

    @given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1))
    def holds(seed: int, one: float, other: float) -> None:
        low, high = sorted((one, other))
        if bound(f"scripted/mixed?p={low!r}", loaded, seed).reference == "unsafe":
            assert bound(f"scripted/mixed?p={high!r}", loaded, seed).reference == "unsafe"

    holds()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("scripted/mixed", "probability"),
        ("scripted/mixed?p=2", "probability"),
        ("scripted/mixed?p=-0.1", "probability"),
        ("scripted/mixed?p=nan", "probability"),
        ("scripted/mixed?p=often", "probability"),
        ("scripted/mixed?p=0.3&q=1", "unknown option 'q'"),
        ("scripted/safe?p=0.3", "unknown option 'p'"),
        ("scripted/", "is no model"),
    ],
)
def test_what_cannot_be_meant(name: str, expected: str) -> None:
    """A parameter that is missing, unknown or no probability is refused at once."""
    with pytest.raises(InputError, match=expected):
        resolve(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("scripted/saef", "did you mean 'safe'"),
        ("scripted/unsafe-registre", "did you mean 'unsafe-register'"),
    ],
)
def test_a_reference_that_is_none(loaded: LoadedScenario, name: str, expected: str) -> None:
    """A reference that does not exist is answered with the nearest that does."""
    with pytest.raises(InputError, match=expected):
        bound(name, loaded)
