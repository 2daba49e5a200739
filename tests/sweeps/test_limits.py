"""Pace, budgets and rates: figures in, decisions out."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.sweeps.adaptive_concurrency import AdaptiveLimit, is_refusal
from sandbox.sweeps.budget import Consumption, Spending
from sandbox.sweeps.running_rates import Tallies, Tally
from sandbox.sweeps.spec import Budget, Stop
from sandbox.sweeps.store import Counts, ItemRow, Outcomes
from sandbox.sweeps.sweep_state import ItemOutcome
from tests.support.sweeps import items


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


async def test_a_refusal_halves_and_answers_bring_it_back() -> None:
    """Refusals shortly after one another halve the limit once; it comes back by ones."""
    clock = Clock()
    pace = AdaptiveLimit(16, clock)
    pace.decrease()
    pace.decrease()
    assert pace.limit == 8
    clock.now = 10
    pace.decrease()
    assert pace.limit == 4
    for _ in range(4):
        pace.increase()
    assert 4.9 < pace.limit < 5
    for _ in range(1000):
        pace.increase()
    assert pace.limit == 16
    assert pace.refusals == 3


async def test_no_more_than_the_limit_go_on() -> None:
    """Who comes when the limit is reached waits until another has left."""
    pace, most, active = AdaptiveLimit(3), 0, 0

    async def one() -> None:
        nonlocal most, active
        await pace.enter()
        active += 1
        most = max(most, active)
        await asyncio.sleep(0)
        active -= 1
        pace.leave()

    await asyncio.wait_for(asyncio.gather(*(one() for _ in range(50))), 5)
    assert (most, pace.active) == (3, 0)


@given(st.lists(st.sampled_from(["decrease", "increase", "later"]), max_size=300))
def test_a_limit_stays_between_one_and_most(happens: list[str]) -> None:
    """Whatever comes, one run at least goes on, and never more than allowed."""
    clock = Clock()
    pace = AdaptiveLimit(8, clock)
    for what in happens:
        if what == "later":
            clock.now += 6
        else:
            getattr(pace, what)()
        assert 1 <= pace.limit <= 8


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("RateLimitError: litellm.RateLimitError: slow down", True),
        ("APIError: HTTP 429", True),
        ("InternalServerError: 500", False),
        ("Timeout: took 1429 ms", False),
    ],
)
def test_what_is_a_refusal(reason: str, expected: bool) -> None:
    """A provider that wants fewer requests is told from one that is broken."""
    assert is_refusal({"reason": reason}) is expected


def test_a_run_that_would_go_beyond_is_not_begun() -> None:
    """What goes on counts as what runs used so far on average."""
    spending = Spending(Budget(tokens=1000), {})
    assert spending.exhausted(0) is None
    spending.add("openai", Consumption(runs=4, tokens=800))
    assert spending.exhausted(0) is None
    spending.running["openai"] = 1
    assert "1000 tokens" in str(spending.exhausted(0))


def test_judges_count_for_the_sweep_alone() -> None:
    """Judges may be asked elsewhere than the agents' models: their euros are the sweep's, and no provider's."""
    budget = Budget.model_validate({"eur": 1, "providers": {"openai": {"eur": 0.5}}})
    spending = Spending(budget, {})
    spending.add("openai", Consumption(runs=2, eur=0.1), Consumption(tokens=100, eur=0.6))
    assert spending.exhausted_of("openai") is None
    assert "1 eur leaves no room: 0.7 are used" in str(spending.exhausted(0))
    before = {"openai": Counts(finished=2, cost_eur=0.1, judge_tokens=100, judge_cost_eur=0.6)}
    assert "0.7 are used" in str(Spending.of(budget, before, 0.0).exhausted(0))


def test_an_item_of_a_worker_counts_with_its_judges() -> None:
    """What judges used is in the row that a worker hands back, and counts towards the budget."""
    (columns,) = items(1, status="finished", run="r", task="done", safety="safe", tokens=70)
    row = ItemRow.model_validate({**columns, "sweep": "s", "number": 0, "judge_tokens": 30})
    outcome = ItemOutcome.of_item(row)
    spending = Spending(Budget(tokens=100), {})
    spending.add("openai", outcome.agents, outcome.judges)
    assert spending.exhausted(0) == "the budget of 100 tokens leaves no room: 100 are used"


def test_budgets_of_their_own() -> None:
    """A provider's budget holds up that provider only; time counts over all executions."""
    budget = Budget.model_validate({"seconds": 100, "providers": {"openai": {"eur": 1}}})
    spending = Spending(budget, {"openai": Consumption(runs=1, eur=1.5)}, wall_before=60)
    assert "openai's budget of 1 eur" in str(spending.exhausted_of("openai"))
    assert spending.exhausted_of("mistral") is None
    assert spending.exhausted(39) is None
    assert "100 seconds" in str(spending.exhausted(40))


def test_rates_leave_out_what_is_no_answer() -> None:
    """Errors of the environment do not count; harm counts in dangerous scenarios only."""
    tally = Tally()
    for outcome in (
        Outcomes(False, "done", "unsafe", 3),
        Outcomes(False, "refused", "safe", 5),
        Outcomes(True, "done", "unsafe", 7),
        Outcomes(False, "error", "unsafe", 11),
    ):
        tally.add(outcome)
    assert (tally.rate("unsafe"), tally.rate("done"), tally.rate("refused")) == (
        (3, 8),
        (10, 15),
        (5, 8),
    )
    assert tally.errors == 11


def test_enough_is_known() -> None:
    """A part is known where its interval is narrow and it had the least number of runs."""
    stop = Stop(width=0.25, least=20)
    parts = [(("m", "d"), Outcomes(False, "done", "safe", 19))]
    assert not Tallies(stop.by, parts).is_known(("m", "d"), stop)
    parts.append((("m", "d"), Outcomes(False, "done", "safe", 1)))
    assert Tallies(stop.by, parts).is_known(("m", "d"), stop)
    parts.append((("m", "d"), Outcomes(False, "done", "unsafe", 20)))
    assert not Tallies(stop.by, parts).is_known(("m", "d"), stop)
