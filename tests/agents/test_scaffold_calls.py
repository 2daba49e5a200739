"""One contract for all scaffolds, shipped and a user's own: what they hand over is what is executed."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.agents.scaffolds import BUILT_IN
from tests.support import defences
from tests.support.defences import Defence
from tests.support.runner import Runner
from tests.support.scaffolds import (
    PAY,
    SCAFFOLDS,
    SHIPPED,
    Drivers,
    calls_of,
    driven,
    refusals,
    replies,
)


def test_the_contract_holds_for_every_shipped_scaffold() -> None:
    """A scaffold that ships later has to be in it."""
    assert SHIPPED.keys() == BUILT_IN.keys()


@pytest.mark.parametrize("defence", [defences.hand_over, defences.copy])
@pytest.mark.parametrize("name", SCAFFOLDS)
async def test_calls_handed_over_unchanged_are_the_models(
    play: Runner, driver: Drivers, name: str, defence: Defence
) -> None:
    """They are executed in order under their ids, and nothing says that the scaffold touched them."""
    result = await driven(play, driver(name, defence), replies())
    assert calls_of(play, result.id) == [
        ("a", "mail.list", {}),
        ("b", "bank.pay", PAY),
        ("c", "bank.payees", {}),
    ]
    assert not any("original" in data for data in play.data(result.id, "tool.intent"))
    assert play.data(result.id, "tool.dropped") == []


@pytest.mark.parametrize("defence", [defences.drop_payments, defences.drop_in_place])
@pytest.mark.parametrize("name", SCAFFOLDS)
async def test_a_dropped_call_is_not_executed_and_on_record(
    play: Runner, driver: Drivers, name: str, defence: Defence
) -> None:
    """What is not handed over is recorded as dropped before anything acts; it counts for no limit."""
    model = replies()
    result = await driven(play, driver(name, defence), model)
    assert [call for call, *_ in calls_of(play, result.id)] == ["a", "c"]
    assert result.tool_calls == 2
    ((event, data),) = play.events(result.id, "tool.dropped")
    assert data == {"call": "b", "tool": "bank.pay", "arguments": PAY}
    assert event.agent == "clerk"
    assert event.seq < play.events(result.id, "tool.intent")[0][0].seq
    assert [refusals(request) for request in model.requests] == [[]] * len(model.requests)


@pytest.mark.parametrize("name", SCAFFOLDS)
async def test_a_payment_that_is_filtered_does_not_go_out(
    play: Runner, driver: Drivers, name: str
) -> None:
    """A defence that removes payments makes the unsafe reference safe; without it, it is unsafe."""
    harmed = await driven(play, driver(name, defences.hand_over), "scripted/unsafe")
    spared = await driven(play, driver(name, defences.drop_payments), "scripted/unsafe")
    assert (harmed.safety, spared.safety) == ("unsafe", "safe")
    assert {data["tool"] for data in play.data(spared.id, "tool.dropped")} == {"bank.pay"}
    assert "bank.pay" not in {data["tool"] for data in play.data(spared.id, "tool.result")}


@pytest.mark.parametrize(
    ("defence", "tool", "arguments"),
    [
        (defences.cap_payments, "bank.pay", {**PAY, "amount": 1.0}),
        (defences.look_instead, "bank.balance", {}),
    ],
)
@pytest.mark.parametrize("name", SCAFFOLDS)
async def test_an_edited_call_is_executed_as_edited(
    play: Runner, driver: Drivers, name: str, defence: Defence, tool: str, arguments: Any
) -> None:
    """It keeps its id, and the record says what the model had asked for."""
    model = replies()
    result = await driven(play, driver(name, defence), model)
    assert calls_of(play, result.id)[1] == ("b", tool, arguments)
    intents = play.data(result.id, "tool.intent")
    assert [data.get("original") for data in intents] == [
        None,
        {"tool": "bank.pay", "arguments": PAY},
        None,
    ]
    assert play.data(result.id, "model.reply")[-2]["calls"][1]["arguments"] == PAY
    assert [refusals(request) for request in model.requests] == [[]] * len(model.requests)


@pytest.mark.parametrize("name", SCAFFOLDS)
async def test_the_order_is_the_scaffolds(play: Runner, driver: Drivers, name: str) -> None:
    """Calls are executed in the order in which they are handed over, as the model's own."""
    model = replies()
    result = await driven(play, driver(name, defences.reverse), model)
    assert [call for call, *_ in calls_of(play, result.id)] == ["c", "b", "a"]
    assert not any("original" in data for data in play.data(result.id, "tool.intent"))
    assert [refusals(request) for request in model.requests] == [[]] * len(model.requests)


@pytest.mark.parametrize(
    ("defence", "calls", "reason"),
    [
        (defences.twice, ["a", "b", "c"], "acted on already"),
        (defences.repeat_call, [], "stands there twice"),
        (defences.own_id, [], "'mine_a' is not in the model's last reply"),
        (defences.one_more, [], "'extra' is not in the model's last reply"),
        (defences.swallow, [], "'extra' is not in the model's last reply"),
    ],
)
@pytest.mark.parametrize("name", SCAFFOLDS)
async def test_a_fault_of_the_scaffold_ends_the_run(
    play: Runner, driver: Drivers, name: str, defence: Defence, calls: list[str], reason: str
) -> None:
    """Nothing of such a message is executed, and the run is an error: no fault of the model."""
    result = await driven(play, driver(name, defence), replies())
    assert [call for call, *_ in calls_of(play, result.id)] == calls
    assert result.task == "error"
    assert "ScaffoldError" in result.reason
    assert reason in result.reason
