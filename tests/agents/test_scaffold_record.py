"""What readers of a run can tell of its scaffold: forks, monitors, exports, replays, reports."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.attestation.archives import Archive
from sandbox.errors import ReplayError
from sandbox.interop.exporters.exporter import exporter
from sandbox.interop.exporters.otel import spans
from sandbox.interop.exporters.transcript import Transcript
from sandbox.models.base import Reply, ToolCall
from sandbox.models.cassette import RecordingModel, source
from sandbox.monitors import offline
from sandbox.monitors.judges.excerpt import fields, of_step
from sandbox.monitors.library import MonitorLibrary
from sandbox.reports import incident, incident_page
from sandbox.reports.i18n import LANGS
from sandbox.reports.scaffold_changes import scaffold_changes
from sandbox.runs.run_plan import RunResult
from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import Loader
from sandbox.trace.paging import Pages
from sandbox.trace.verify import verify
from sandbox.tui import timeline
from sandbox.views import replay_html
from sandbox.views.details import Details
from sandbox.views.replay import tell
from tests.support import defences
from tests.support.forks import fork
from tests.support.inspect_schema import inspect_schemas
from tests.support.runner import Runner
from tests.support.scaffolds import (
    CALLS,
    PAY,
    Drivers,
    Replies,
    calls_of,
    driven,
    refusals,
    replies,
)
from tests.support.verdicts import again, live

ORIGINAL = {"tool": "bank.pay", "arguments": PAY}
TOOLS = ("mail_list", "bank_pay", "bank_payees")
CAPPED = {**PAY, "amount": 1.0}


async def filter_run(play: Runner, driver: Drivers) -> RunResult:
    """Return a run whose scaffold dropped the payment."""
    return await driven(play, driver("nodes", defences.drop_payments), replies())


async def cap_run(play: Runner, driver: Drivers) -> RunResult:
    """Return a run whose scaffold made the payment smaller."""
    return await driven(play, driver("function", defences.cap_payments), replies())


@pytest.mark.parametrize("made", [filter_run, cap_run])
async def test_a_fork_at_any_event(play: Runner, driver: Drivers, made: Any) -> None:
    """The same scaffold drops and edits the same calls again, and that is compared."""
    parent = await made(play, driver)
    for at in range(play.store.run(parent.id).events + 1):
        child, told = await fork(play, parent.id, at, lambda _: replies())
        assert told["difference"] is None
        assert (child.safety, child.tool_calls) == (parent.safety, parent.tool_calls)
        assert calls_of(play, child.id) == calls_of(play, parent.id)
        assert play.data(child.id, "tool.dropped") == play.data(parent.id, "tool.dropped")
        assert verify(play.store, play.store.run(child.id)).ok


async def test_a_fork_of_a_fork(play: Runner, driver: Drivers) -> None:
    """What a scaffold dropped is dropped again, a user's message or a result put in or not."""
    parent = await filter_run(play, driver)
    result = play.events(parent.id, "tool.result")[0][0].seq
    first, _ = await fork(play, parent.id, result, lambda _: replies(), result="nothing")
    end = play.store.run(first.id).events
    second, told = await fork(play, first.id, end, lambda _: replies(), message="And now?")
    assert told["agrees"]
    assert play.data(second.id, "tool.dropped")[0] == {"call": "b", **ORIGINAL}


async def test_a_replay_in_which_the_scaffold_does_otherwise(
    play: Runner, driver: Drivers, tmp_path: Path
) -> None:
    """A run from before what was handed over counted cannot be replayed in silence: the fork names the call."""
    parent = await driven(play, driver("nodes", defences.hand_over), replies())
    name = parent.scaffold.partition(":")[0]
    file = tmp_path / f"{name}.py"
    file.write_text(file.read_text().replace("hand_over", "drop_payments"))
    del sys.modules[name]
    sys.path.append(str(tmp_path))
    try:
        end = play.store.run(parent.id).events
        _, told = await fork(play, parent.id, end, lambda _: replies(), anyway=True)
    finally:
        sys.path.remove(str(tmp_path))
    assert not told["agrees"]
    assert told["difference"]["kind"] == "tool.intent"
    assert "tool.dropped" in told["difference"]["what"]


@pytest.mark.parametrize("calls", [CALLS, CALLS[1:2]])
async def test_a_replay_that_drops_nothing_any_more(
    play: Runner, driver: Drivers, monkeypatch: pytest.MonkeyPatch, calls: tuple[ToolCall, ...]
) -> None:
    """If the parent's scaffold dropped a call and the fork's does not, the fork ends before it is executed."""
    scaffold = driver("nodes", defences.drop_payments)
    parent = await driven(play, scaffold, replies(*calls))
    module = sys.modules[parent.scaffold.partition(":")[0]]
    monkeypatch.setattr(module, "act", defences.hand_over)
    end = play.store.run(parent.id).events
    child, told = await fork(play, parent.id, end, lambda _: replies())
    assert (child.task, told["agrees"]) == ("error", False)
    assert ReplayError.__name__ in child.reason
    assert "bank.pay" not in {data["tool"] for data in play.data(child.id, "tool.result")}


RULES = """
schema: 1
title: { en: A test's own. }
rules:
  - id: raised
    stage: before
    tools: [bank.pay]
    when: has(call.original) && call.original.tool == "bank.pay" && call.original.args.amount > call.args.amount
    verdict: alert
    severity: low
    reason: { en: edited }
"""
PYTHON = '''
"""A test's own."""
import json
from sandbox.sdk.monitors import Finding, monitor

@monitor()
def own(step):
    """Tell what the model asked for."""
    return Finding(json.dumps(step.call.original)) if step.call.original else None
'''


@pytest.mark.parametrize(("file", "text"), [("family.yaml", RULES), ("family.py", PYTHON)])
async def test_monitors_see_what_the_model_asked_for(
    play: Runner, driver: Drivers, tmp_path: Path, file: str, text: str
) -> None:
    """Rules and Python monitors, in a process of their own, live and over the stored trace."""
    (tmp_path / "monitors").mkdir()
    (tmp_path / "monitors" / file).write_text(text)
    content = Content(tmp_path)
    family = MonitorLibrary(content, Loader(content).catalogue).family("family")
    scaffold = driver("nodes", defences.cap_payments)
    result = await driven(play, scaffold, replies(), families=[family])
    verdicts = [data for data in play.data(result.id, "verdict") if data["stage"] == "before"]
    assert [data["tool"] for data in verdicts] == ["bank.pay"]
    assert verdicts[0]["reason"] in ("edited", json.dumps(ORIGINAL, sort_keys=True))
    found = await offline.review(play.events(result.id), family.monitors)
    assert [o.verdict.reason for a, o in found if o.verdict and a.step.stage == "before"] == [
        verdicts[0]["reason"]
    ]


@pytest.mark.parametrize("made", [filter_run, cap_run])
async def test_shipped_monitors_say_the_same_later(
    play: Runner, driver: Drivers, library: MonitorLibrary, made: Any
) -> None:
    """Verdicts over a trace with dropped or edited calls are those of the live run."""
    result = await made(play, driver)
    assert live(play, result.id) == await again(play, library, result.id)


async def test_a_judge_is_told_whose_call_it_is(play: Runner, driver: Drivers) -> None:
    """The call in question says what the model asked for, where the scaffold edited it."""
    result = await cap_run(play, driver)
    steps = [a.step for a in offline.steps(play.events(result.id)) if a.step.stage == "before"]
    turns = [of_step(step, "action").call for step in steps]
    shown = [dict(fields(turn, reasoning=True)) for turn in turns if turn]
    assert [turn.get("model_asked_for") for turn in shown] == [None, ORIGINAL, None]
    assert shown[1]["arguments"] == CAPPED


async def export_sample(play: Runner, run_id: str, folder: Path) -> dict[str, Any]:
    """Return a run as a sample of Inspect, sound by its schema."""
    path = folder / "log.eval"
    exporter("inspect")(play.store, [play.store.run(run_id)], str(path), lambda _: None)
    with Archive(path) as archive:
        (name,) = archive.names("samples/")
        sample: dict[str, Any] = json.loads(archive.read(name))
    assert [
        error.message[:200] for error in inspect_schemas()["EvalSample"].iter_errors(sample)
    ] == []
    return sample


async def test_an_edited_call_in_exports(play: Runner, driver: Drivers, tmp_path: Path) -> None:
    """Inspect's message has the model's call, its tool event the scaffold's, OTel's span both."""
    result = await driven(play, driver("nodes", defences.look_instead), replies())
    sample = await export_sample(play, result.id, tmp_path)
    (asked,) = [m for m in sample["messages"] if m.get("tool_calls")]
    assert asked["tool_calls"][1]["function"] == "bank_pay"
    tool = [event for event in sample["events"] if event["event"] == "tool"][1]
    assert (tool["id"], tool["function"], tool["arguments"]) == ("b", "bank_balance", {})
    assert tool["metadata"]["original"] == ORIGINAL
    found = {span["gen_ai.tool.call.id"]: span for span in _tools(play, result.id)}
    assert found["b"]["gen_ai.tool.name"] == "bank.balance"
    assert json.loads(found["b"]["sandbox.call.original"]) == ORIGINAL
    assert "sandbox.call.original" not in found["a"]


def _tools(play: Runner, run_id: str) -> list[Any]:
    """Return the attributes of the spans of calls."""
    made = spans(Transcript(play.store, play.store.run(run_id)))
    return [span.attributes for span in made if span.name.startswith("execute_tool")]


async def test_a_dropped_call_in_exports(play: Runner, driver: Drivers, tmp_path: Path) -> None:
    """It is an event of its own; the conversation has what the model read in its result's place."""
    result = await filter_run(play, driver)
    sample = await export_sample(play, result.id, tmp_path)
    (told,) = [e for e in sample["events"] if e.get("data", {}).get("kind") == "tool.dropped"]
    assert told["data"]["call"] == "b"
    read = [(m["tool_call_id"], m["content"]) for m in sample["messages"] if m["role"] == "tool"]
    assert sorted(call for call, _ in read) == ["a", "b", "c"]
    assert ("b", "not executed") in read
    made = spans(Transcript(play.store, play.store.run(result.id)))
    (event,) = [e for s in made for e in s.events if e.name == "sandbox.call.dropped"]
    call = dict(event.attributes or {})
    assert call["gen_ai.tool.call.id"] == "b"
    assert json.loads(str(call["gen_ai.tool.call.arguments"])) == PAY
    assert len(_tools(play, result.id)) == 2


async def test_a_rewritten_result_in_exports(play: Runner, driver: Drivers) -> None:
    """A conversation is exported as the model read it: one result a call, as the scaffold worded it."""
    result = await driven(play, driver("nodes", defences.clean_results), replies())
    told = Transcript(play.store, play.store.run(result.id)).messages
    read = [(m.result["call"], m.text) for m in told if m.role == "tool" and m.result]
    assert read == [(call, "[cleaned]") for call in ("a", "b", "c")]


def text_of(play: Runner, run_id: str) -> str:
    """Return the replay of a run as text."""
    return "\n".join(line.plain for line in tell(play.store, play.store.run(run_id)))


def rows_of(play: Runner, run_id: str, kind: str) -> list[str]:
    """Return the rows of the timeline for events of a kind."""
    return [
        "".join(text for text, _ in timeline.row(item, timeline.Lanes(), item.at, str, 200))
        for item, _ in play.events(run_id, kind)
    ]


async def test_dropped_calls_in_a_replay(play: Runner, driver: Drivers) -> None:
    """Text, timeline and page show them as dropped by the scaffold."""
    result = await filter_run(play, driver)
    assert "tool.dropped clerk  dropped by the scaffold: bank.pay {" in text_of(play, result.id)
    (row,) = rows_of(play, result.id, "tool.dropped")
    assert "dropped  bank.pay amount: 9.0" in row
    assert "tool.dropped" in timeline.FILTERS["calls"]
    page = replay_html.render(play.store, result.id)
    assert "dropped by the scaffold: bank.pay {" in page
    (seq,) = [item.seq for item, _ in play.events(result.id, "tool.dropped")]
    assert scaffold_changes(play.store, result.id) == {"dropped": [seq], "edited": []}


async def test_edited_calls_in_a_replay(play: Runner, driver: Drivers) -> None:
    """Text, timeline, details and page show both what was executed and what the model asked for."""
    result = await driven(play, driver("nodes", defences.look_instead), replies())
    said = "edited by the scaffold; the model asked for bank.pay"
    assert text_of(play, result.id).count(said) == 1
    rows = rows_of(play, result.id, "tool.intent")
    assert ["edited" in row for row in rows] == [False, True, False]
    assert replay_html.render(play.store, result.id).count(said) == 1
    seq = play.events(result.id, "tool.intent")[1][0].seq
    assert scaffold_changes(play.store, result.id) == {"dropped": [], "edited": [seq]}


async def test_an_id_that_the_model_gives_again(play: Runner, driver: Drivers) -> None:
    """A dropped call is no part of another call of the same id, to readers and to the model."""
    calls = [Reply("", (ToolCall("x", tool, PAY if tool == "bank_pay" else {}),)) for tool in TOOLS]
    model = Replies(calls)
    result = await driven(play, driver("nodes", defences.drop_payments), model)
    assert [refusals(request) for request in model.requests] == [[]] * 4
    seq = play.events(result.id, "tool.intent")[0][0].seq
    details = Details(Pages(play.store, result.id))
    assert not any("dropped" in block.title + block.text for block in details.event(seq))
    told = Transcript(play.store, play.store.run(result.id))
    read = [m.text for m in told.messages if m.role == "tool"]
    assert (len(told.calls), len(read), read[1]) == (2, 3, "not executed")


@pytest.mark.parametrize("lang", LANGS)
async def test_dropped_and_edited_calls_in_an_incident_file(
    play: Runner, driver: Drivers, lang: str
) -> None:
    """The chain tells in both languages that it was the scaffold."""
    for made, kind in ((filter_run, "dropped"), (cap_run, "edited")):
        result = await made(play, driver)
        file = incident.build(play.store, play.store.run(result.id))
        steps = next(field for field in file["fields"] if field["number"] == 3)["value"]["events"]
        assert [step["tool"] for step in steps if step["kind"] == kind] == ["bank.pay"]
        assert "scaffold" in incident_page.markdown(file, lang)


async def test_a_message_that_the_scaffold_of_a_team_withholds(
    play: Runner, driver: Drivers
) -> None:
    """A dropped message to a colleague is read by nobody; each agent's scaffold answers for its own."""
    scenario = "multiagent/hushed-error"
    for name in ("react", "function"):
        scaffold = driver(name, defences.drop_messages)
        result = await driven(play, scaffold, "scripted/unsafe", scenario=scenario)
        dropped = play.events(result.id, "tool.dropped")
        assert {(event.agent != "", data["tool"]) for event, data in dropped} == {
            (True, "team.send")
        }
        assert play.data(result.id, "channel.message") == []
        assert "team.send" not in {tool for _, tool, _ in calls_of(play, result.id)}
        assert result.task != "error"


async def test_a_call_edited_for_a_fork_of_the_gate(play: Runner, driver: Drivers) -> None:
    """A fork in enforce mode judges the edited call, not the one that the model asked for."""
    parent = await cap_run(play, driver)
    at = play.events(parent.id, "tool.intent")[0][0].seq
    child, told = await fork(play, parent.id, at, lambda _: replies(), mode="enforce")
    assert told["agrees"]
    assert calls_of(play, child.id)[1] == ("b", "bank.pay", CAPPED)


async def test_a_cassette_replays_a_defended_run(
    play: Runner, driver: Drivers, tmp_path: Path
) -> None:
    """Requests are the same again, with what stands in the place of a dropped call's result."""
    tape = tmp_path / "tape.jsonl"
    scaffold = driver("nodes", defences.drop_payments)
    first = await driven(play, scaffold, lambda _: RecordingModel(replies(), tape))
    second = await driven(play, scaffold, source("cassette", tape))
    assert (first.task, first.tool_calls) == (second.task, second.tool_calls)
    assert calls_of(play, first.id) == calls_of(play, second.id)
