"""Forks: the world is rebuilt by replaying, compared with the record, and goes on otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from sandbox.errors import InputError
from sandbox.isolation.base import CallResult
from sandbox.isolation.bubblewrap import Bubblewrap, BubblewrapContainer
from sandbox.runs.fork_plan import start_of
from sandbox.runs.run import run
from sandbox.runs.trace_normalization import essence
from sandbox.trace.purging import purge
from sandbox.trace.verify import verify
from tests.support.forks import fork, planned, positions
from tests.support.runner import Runner, call, plays, say


async def test_a_fork_that_changes_nothing(play: Runner) -> None:
    """A fork with the same model and mode comes to the same end, and its trace verifies."""
    parent = await play("scripted/unsafe")
    for at in range(parent_events(play, parent.id) + 1):
        made, told = await fork(play, parent.id, at)
        assert told["difference"] is None
        assert (made.task, made.safety, made.tool_calls) == (
            parent.task,
            parent.safety,
            parent.tool_calls,
        )
        assert verify(play.store, play.store.run(made.id)).problem is None


def parent_events(play: Runner, run_id: str) -> int:
    """Return how many events a run has."""
    return play.store.run(run_id).events


async def test_a_fork_knows_its_parent(play: Runner) -> None:
    """Parent, event and the hash before it stand in the first event, the row and the result."""
    parent = await play("scripted/unsafe")
    at = positions(play, parent.id, "tool.intent")[1]
    made, _ = await fork(play, parent.id, at)
    row, start = play.store.run(made.id), play.data(made.id, "run.start")[0]
    before = play.events(parent.id)[at - 1][0].hash
    assert (row.parent, row.fork_at) == (parent.id, at)
    assert (start["parent"], start["fork_at"], start["fork"]["after"]) == (parent.id, at, before)
    assert (made.parent, made.fork_at) == (parent.id, at)


async def test_a_fork_is_held_against_its_parent(play: Runner) -> None:
    """Where the parent is in the store, the event that the fork names is compared; else that is said."""
    parent = await play("scripted/unsafe")
    made, _ = await fork(play, parent.id, positions(play, parent.id, "tool.intent")[1])
    assert verify(play.store, play.store.run(parent.id)).parent is None
    row = play.store.run(made.id)
    assert verify(play.store, row).parent == "agrees"
    purge(play.store, [play.store.run(parent.id)], reason="expired", by="ada")
    assert (verify(play.store, row).ok, verify(play.store, row).parent) == (True, "purged")


async def test_a_parent_that_was_made_anew_is_found(play: Runner) -> None:
    """A parent whose chain is sound, but not the one from which the fork went on, is named."""
    parent = await play("scripted/unsafe")
    at = positions(play, parent.id, "tool.intent")[1]
    made, _ = await fork(play, parent.id, at)
    with play.store.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE event SET hash = ? WHERE run = ? AND seq = ?", ("0" * 64, parent.id, at - 1)
        )
    found = verify(play.store, play.store.run(made.id))
    assert (found.ok, found.event) == (False, 0)
    assert found.problem == f"event {at - 1} of its parent {parent.id} is another than it names"
    with play.store.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM event WHERE run = ?", (parent.id,))
        connection.exec_driver_sql("DELETE FROM run WHERE id = ?", (parent.id,))
    assert verify(play.store, play.store.run(made.id)).parent == "missing"


async def test_runs_are_listed_by_where_they_are_from(play: Runner) -> None:
    """Own runs, forks and imported ones; an unknown origin gets the nearest."""
    parent = await play("scripted/unsafe")
    made, _ = await fork(play, parent.id, positions(play, parent.id, "tool.intent")[1])
    store = play.store
    assert [row.id for row in store.runs(origin="fork")] == [made.id]
    assert [row.id for row in store.runs(origin="run")] == [parent.id]
    assert store.runs(origin="imported") == []
    with pytest.raises(InputError, match="did you mean 'fork'"):
        store.runs(origin="forks")


async def test_another_mode_from_the_unsafe_call_on(play: Runner) -> None:
    """The call at which a monitor spoke is judged anew: in enforce mode it is stopped."""
    parent = await play("scripted/unsafe")
    at = positions(play, parent.id, "verdict")[0]
    made, told = await fork(play, parent.id, at, mode="enforce")
    assert (parent.safety, made.safety) == ("unsafe", "attempted")
    assert told["agrees"]
    assert play.data(made.id, "gate.decision")[-1]["carried_out"] is True


async def test_another_model_from_a_reply_on(play: Runner) -> None:
    """Replies before the point are the recorded ones, marked so; the new model gives the others."""
    parent = await play("scripted/unsafe")
    at = positions(play, parent.id, "model.request")[1]
    made, _ = await fork(play, parent.id, at, plays(say("unused"), say("I stop here.")))
    replies = play.data(made.id, "model.reply")
    recorded = positions(play, parent.id, "model.reply")[0]
    assert [reply.get("replayed") for reply in replies] == [recorded, None]
    assert [item["model"] for item in play.data(made.id, "model.request")] == [
        "scripted/unsafe",
        "scripted/test",
    ]
    assert made.safety == "safe"


async def test_a_message_in_the_middle(play: Runner) -> None:
    """An added message is heard by the new model right before its first reply."""
    heard: list[Any] = []
    parent = await play("scripted/unsafe")
    at = positions(play, parent.id, "model.request")[1]
    made, told = await fork(play, parent.id, at, listening(heard), message="Stop.")
    assert heard[0][-1] == {"role": "user", "content": "Stop."}
    assert [m["role"] for m in heard[0]] == ["system", "user", "assistant", "tool", "user"]
    assert told["message"] == "Stop."
    assert [m["content"] for m in play.data(made.id, "message")][-1] == "Stop."


async def test_a_message_after_the_last_words(play: Runner) -> None:
    """What ended by the agent's words goes on with an answer to them."""
    heard: list[Any] = []
    parent = await play("scripted/unsafe")
    made, _ = await fork(
        play, parent.id, parent_events(play, parent.id), listening(heard), message="And now?"
    )
    assert [m["role"] for m in heard[0]][-2:] == ["assistant", "user"]
    assert made.tool_calls == parent.tool_calls


async def test_a_fork_of_a_fork(play: Runner) -> None:
    """Messages and results that a fork put in are there again when it is forked itself."""
    heard: list[Any] = []
    parent = await play(plays(call("mail.list"), say("One."), say("Two."), say("Three.")))
    result = positions(play, parent.id, "tool.result")[0]
    model = plays(say("-"), say("One."), say("Two."))
    first, _ = await fork(play, parent.id, result, model, result="an empty mailbox")
    end = parent_events(play, first.id)
    second, _ = await fork(play, first.id, end, model, message="Sure?")
    end = parent_events(play, second.id)
    _, told = await fork(play, second.id, end, listening(heard), message="Really?")
    assert told["difference"] is None
    shown = [m["content"] for m in heard[0] if m["role"] in ("user", "tool")][1:]
    assert shown == ["an empty mailbox", "Sure?", "Really?"]


async def test_a_result_in_place_of_the_recorded_one(play: Runner) -> None:
    """The call is executed as it was; the agent reads another result, and the trace says so."""
    heard: list[Any] = []
    parent = await play("scripted/unsafe")
    at = positions(play, parent.id, "tool.result")[0]
    made, told = await fork(play, parent.id, at, listening(heard), result="No such mail.")
    assert heard[0][-1]["content"] == "No such mail."
    assert told["agrees"]
    true, shown = play.data(made.id, "tool.result")[0], play.data(made.id, "gate.decision")[0]
    assert true["text"] == play.data(parent.id, "tool.result")[0]["text"]
    assert (shown["text"], shown["decided_by"]) == ("No such mail.", "the fork")


async def test_what_was_blocked_stays_blocked(play: Runner) -> None:
    """A call that was not executed in the record is not executed in the replay either."""
    parent = await play("scripted/unsafe", mode="enforce")
    statuses = [item["status"] for item in play.data(parent.id, "tool.result")]
    assert "blocked" in statuses
    end = parent_events(play, parent.id)
    made, told = await fork(play, parent.id, end, mode="observe", monitors=())
    assert [item["status"] for item in play.data(made.id, "tool.result")] == statuses
    assert (told["difference"], made.safety) == (None, parent.safety)
    decided = [d["decided_by"] for d in play.data(made.id, "gate.decision")]
    assert decided == [f"the record of run {parent.id}"] * statuses.count("blocked")


class Otherwise(Bubblewrap):
    """A bubblewrap in whose worlds the second call comes out differently."""

    async def open(self, spec: Any) -> BubblewrapContainer:
        """Open a container that answers its second call with other words."""
        container = await super().open(spec)
        real, calls = container.call, []

        async def altered(*arguments: Any, **named: Any) -> CallResult:
            calls.append(1)
            result: CallResult = await real(*arguments, **named)
            return replace(result, text="other words") if len(calls) == 2 else result

        container.call = altered  # type: ignore[method-assign]
        return container


async def test_a_replay_that_does_not_agree(play: Runner) -> None:
    """The first event that differs is named, and nothing new happens in such a world."""
    parent = await play("scripted/unsafe")
    wanted = positions(play, parent.id, "tool.result")[1]
    end = parent_events(play, parent.id)
    made, told = await fork(replace(play, backend=Otherwise()), parent.id, end)
    assert (told["agrees"], told["difference"]["event"]) == (False, wanted)
    assert told["difference"]["what"].startswith("text: recorded ")
    assert (made.task, f"event {wanted} of run {parent.id}" in made.reason) == ("error", True)
    assert len(play.data(made.id, "tool.result")) == 2


async def test_times_of_the_clock_may_differ(play: Runner) -> None:
    """What tells when it was asked agrees, though the replay is at another time."""
    commands = ("ls -la --time-style=full-iso", "date; date +%s%N; stat -c %y .", "date -R; ls -l")
    steps = [call("shell.run", command=command) for command in commands]
    parent = await play(plays(*steps, say("Done.")), "oversight/quiet-script")
    end = parent_events(play, parent.id)
    _, told = await fork(play, parent.id, end)
    assert (told["difference"], told["calls"]) == (None, 3)


async def test_going_on_anyway(play: Runner) -> None:
    """Asked to go on anyway, the fork tells the difference and goes on."""
    parent = await play("scripted/unsafe")
    end = parent_events(play, parent.id)
    made, told = await fork(replace(play, backend=Otherwise()), parent.id, end, anyway=True)
    assert (told["agrees"], made.task) == (False, parent.task)


async def test_the_scenario_is_that_of_the_trace(play: Runner) -> None:
    """The world comes from the record: scenario files may have changed or gone since."""
    parent = await play("scripted/unsafe", "injection/changed-iban", lang="fr", seed=3)
    plan = planned(play, parent.id, 0, "scripted/unsafe")
    loaded = play.plan("scripted/unsafe", "injection/changed-iban", lang="fr", seed=3).instance
    assert plan.instance.evidence == loaded.evidence
    assert json.dumps(plan.instance.sections()) == json.dumps(loaded.sections())
    made = await run(plan, play.store)
    kinds = ("tool.intent", "tool.result")
    told = [[e for e in essence(play.store, i) if e[0] in kinds] for i in (parent.id, made.id)]
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("at", "change", "said"),
    [
        (10_000, {}, "has no event 10000"),
        (1, {"result": "x"}, "--result needs the event of a result"),
        (-1, {}, "has no event -1"),
    ],
)
async def test_what_cannot_be_forked(
    play: Runner, at: int, change: dict[str, Any], said: str
) -> None:
    """An event that is not there, or no result where one is to be replaced, is an error."""
    parent = await play("scripted/safe")
    with pytest.raises(InputError, match=said):
        planned(play, parent.id, at, "scripted/safe", **change)


async def test_runs_without_a_world(play: Runner) -> None:
    """A run that was imported, or purged, is refused with the reason."""
    row = play.store.run((await play("scripted/safe")).id)
    with pytest.raises(InputError, match="it was imported"):
        start_of(play.store, row.model_copy(update={"origin": "inspect"}))
    purge(play.store, [row], reason="x", by="y")
    with pytest.raises(InputError, match="it was purged"):
        planned(play, row.id, 0, "scripted/safe")


def listening(heard: list[Any]) -> Any:
    """Return a model that keeps what it hears and says one word."""
    from sandbox.models.base import Reply

    class Listening:
        name = "scripted/test"

        def describe(self) -> dict[str, Any]:
            return {}

        async def complete(self, request: Any, on_retry: Any) -> Reply:
            heard.append(list(request.messages))
            return Reply("Fine.", model="test")

    return lambda _: Listening()
