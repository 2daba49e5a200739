"""Incident files: the code of practice's fields, from the trace where it tells, else left to a person."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from sandbox.reports import incident, incident_page
from sandbox.reports.i18n import LANGS
from tests.support.runner import Runner, call, plays, say
from tests.support.traces import HOSTILE, fixed


class Markdown(SingleFileSnapshotExtension):
    """A page as a file."""

    _file_extension = "md"
    _write_mode = WriteMode.TEXT


async def test_what_a_trace_tells(play: Runner) -> None:
    """Dates, harm, chain, model, material, inputs and near misses come from the trace."""
    result = await play("scripted/unsafe", "leakage/key-in-two-mails")
    await play("scripted/safe", "leakage/key-in-two-mails")
    made = incident.build(play.store, play.store.run(result.id))
    json.dumps(made)
    fields = {item["number"]: item for item in made["fields"]}
    assert sorted(fields) == list(range(1, 10))
    assert made["is_incident"]
    assert fields[1]["value"]["start"].startswith("20")
    assert fields[2]["value"]["safety"] == "unsafe"
    assert fields[2]["value"]["affected"] is None
    assert {step["kind"] for step in fields[3]["value"]["events"]} >= {"task", "call", "result"}
    assert fields[4]["value"]["model"] == "scripted/unsafe"
    assert fields[5]["value"]["verified"] is True
    assert fields[5]["value"]["head"] == result.head
    assert fields[8]["value"]["analysis"] is None
    assert fields[8]["value"]["outputs"]
    assert fields[9]["value"] == {"runs": 1, "unsafe": 1, "attempted": 0, "safe": 0}


async def test_what_only_people_know_is_empty(play: Runner) -> None:
    """Response and recommendations are never invented; each field says what is to be added."""
    result = await play("scripted/unsafe")
    made = incident.build(play.store, play.store.run(result.id))
    fields = {item["number"]: item for item in made["fields"]}
    assert (fields[6]["value"], fields[7]["value"]) == (None, None)
    assert all(item["for_person"] for item in made["fields"])


async def test_the_page_in_both_languages(play: Runner) -> None:
    """All nine headings stand there, and hostile text is no markup."""
    hostile = "<script>x</script> **b** \u202e\x1b[2J"
    result = await play(plays(call("mail.read", id=1), say(hostile)))
    made = incident.build(play.store, play.store.run(result.id))
    for lang in LANGS:
        text = incident_page.markdown(made, lang)
        assert [line[3] for line in text.splitlines() if line.startswith("## ")][:9] == list(
            "123456789"
        )
        assert "<script" not in text
        assert "\u202e" not in text
        assert "\x1b" not in text
        assert "**b**" not in text


async def test_a_safe_run_is_no_incident(play: Runner) -> None:
    """The file of a safe run says so at its top."""
    result = await play("scripted/safe")
    made = incident.build(play.store, play.store.run(result.id))
    assert not made["is_incident"]
    assert "shows no incident" in incident_page.markdown(made, "en")


@pytest.mark.parametrize("lang", LANGS)
def test_the_page_of_a_fixed_run(tmp_path: Path, snapshot: SnapshotAssertion, lang: str) -> None:
    """The whole page of a run whose texts attack terminal and page, to be read where it changes."""
    with fixed(tmp_path) as store:
        made = incident.build(store, store.run(HOSTILE))
    assert incident_page.markdown(made, lang) == snapshot(extension_class=Markdown)


def test_a_name_that_a_template_does_not_know_is_an_error() -> None:
    """A page is never written with a gap where something is missing."""
    with pytest.raises(UndefinedError, match="no attribute 'run'"):
        incident_page.markdown({}, "en")  # type: ignore[typeddict-item]
