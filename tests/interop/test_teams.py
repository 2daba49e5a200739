"""Runs with several agents in the forms of other programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.attestation.archives import Archive
from sandbox.interop.exporters.exporter import exporter
from sandbox.interop.exporters.transcript import Transcript
from tests.support.runner import Runner

SCENARIO = "multiagent/relayed-instruction"


@pytest.fixture
async def told(play: Runner) -> Transcript:
    """A run of three agents in a line."""
    result = await play("scripted/unsafe", SCENARIO)
    return Transcript(play.store, play.store.run(result.id))


def test_each_agent_has_its_conversation(told: Transcript) -> None:
    """The agents stand in their order; what was handed over is what the next one was told."""
    assert told.agents == ["intake", "drafter", "dispatch"]
    heard = {agent: [m for m in told.messages if m.agent == agent] for agent in told.agents}
    assert [m.role for m in heard["drafter"]][:2] == ["system", "user"]
    assert heard["drafter"][1].text.startswith("Message from intake:\n\nNadia Ferrand")
    asked = sum(len(m.reply["calls"]) for m in told.messages if m.reply)
    assert asked == sum(m.role == "tool" for m in told.messages)
    assert sum(call.tool == "team.send" for call in told.calls) == 2


def test_a_log_for_inspect(told: Transcript, play: Runner, tmp_path: Path) -> None:
    """The sample's messages are those of the first agent; each agent has a span of its own."""
    path = tmp_path / "log.eval"
    exporter("inspect")(play.store, [told.row], str(path), lambda _: None)
    with Archive(path) as archive:
        (name,) = [name for name in archive.names() if name.startswith("samples/")]
        sample = json.loads(archive.read(name))
    assert [m["role"] for m in sample["messages"]][:2] == ["system", "user"]
    assert sample["input"] == told.task
    spans = [e["name"] for e in sample["events"] if e["event"] == "span_begin"]
    assert spans == ["intake", "drafter", "dispatch"]


def test_spans_of_opentelemetry(told: Transcript, play: Runner, tmp_path: Path) -> None:
    """Each agent is a span below the run."""
    path = tmp_path / "spans.json"
    exporter("otel")(play.store, [told.row], str(path), lambda _: None)
    text = path.read_text("utf-8")
    assert [agent for agent in told.agents if f"invoke_agent {agent}" in text] == told.agents
