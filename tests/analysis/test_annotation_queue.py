"""Queues by file: written without what would sway people, read back with every error by its line."""

from __future__ import annotations

import csv
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.analysis.annotation_queue import COLUMNS, chosen, entries, read, write
from sandbox.errors import InputError
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from tests.support.stored_runs import enter_run

KNOWN = frozenset({"aaa", "bbb"})


def test_a_queue_tells_neither_model_nor_outcome(store: Store, tmp_path: Path) -> None:
    """Each run stands with its title in its own language and empty labels."""
    row = enter_run(store, "aaa", lang="fr", safety="unsafe")
    path = tmp_path / "queue.csv"
    assert write(path, entries(store, [row])) == 1
    told = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    expected = {
        "run": "aaa",
        "scenario": "injection/web-page",
        "lang": "fr",
        "family": "injection",
        "description": "Une page · 2 calls",
    }
    assert told == [dict.fromkeys(COLUMNS, "") | expected]


def test_a_title_is_no_formula(store: Store, tmp_path: Path) -> None:
    """A title from elsewhere that a spreadsheet would execute is quoted."""
    row = enter_run(store, "aaa", title={"en": '=HYPERLINK("http://x")'})
    path = tmp_path / "queue.csv"
    write(path, entries(store, [row]))
    told = next(csv.DictReader(path.read_text("utf-8").splitlines()))
    assert told["description"].startswith("'=HYPERLINK")


def test_a_file_with_labels_is_not_overwritten(tmp_path: Path) -> None:
    """Writing a queue where a file is already is refused."""
    path = tmp_path / "queue.jsonl"
    path.write_text("x")
    with pytest.raises(InputError, match="is there already"):
        write(path, [])


def test_a_sample_is_the_same_for_the_same_seed(store: Store) -> None:
    """A draw depends on seed and runs only, and a run that comes later moves no other."""
    rows = [enter_run(store, f"r{number:03}") for number in range(40)]
    drawn = [row.id for row in chosen(reversed(rows), 10, 7)]
    assert drawn == [row.id for row in chosen(rows, 10, 7)]
    assert drawn != [row.id for row in chosen(rows, 10, 8)]
    more = [row.id for row in chosen([*rows, enter_run(store, "late")], None, 7)]
    assert [run for run in more if run != "late"] == [row.id for row in chosen(rows, None, 7)]


def test_runs_that_are_not_over_are_left_out(store: Store) -> None:
    """An interrupted run has no outcome to label."""
    assert chosen([enter_run(store, "aaa", status="interrupted")], None, 0) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("q.csv", "run,outcome,harm,note\naaa, Success ,,seen\nbbb,,,\n"),
        ("q.csv", "\ufeffrun;outcome;note\r\naaa;success;seen\r\nbbb;;\r\n"),
        ("q.jsonl", '{"run": "aaa", "outcome": "success", "note": "seen"}\n\n{"run": "bbb"}\n'),
    ],
)
def test_reading_back(tmp_path: Path, name: str, text: str) -> None:
    """CSV with commas or semicolons and JSONL give the same labels; blank runs are counted."""
    path = tmp_path / name
    path.write_text(text, "utf-8")
    sheet = read(path, "ada", KNOWN)
    told = [(x.run, x.name, x.value, x.source, x.by, x.note) for x in sheet.labels]
    assert (told, sheet.blank) == ([("aaa", "outcome", "success", "person", "ada", "seen")], 1)


WRONG = (
    ("run,outcome\naaa,sucess\n", ":2: outcome: unknown value 'sucess' — did you mean 'success'?"),
    ("run,harm\naaa,7\n", ":2: harm: unknown value '7'"),
    ("run,outcom\n", ":1: unknown column 'outcom' — did you mean 'outcome'?"),
    ("outcome\n", ":1: the column 'run' is missing"),
    ("run,run\n", ":1: a column stands twice"),
    ("run,outcome\nzzz,success\n", ":2: no run 'zzz'"),
    ("run,outcome\naaa,success\naaa,success\n", ":3: run aaa stands in line 2 already"),
    ("run,note\naaa,hm\n", ":2: there is a note, but no label"),
    ("run,outcome\naaa,success,x,y\n", ":2: 4 cells, but the first line names 2"),
    ("", ":1: the file is empty"),
)


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_what_is_wrong_in_a_sheet(tmp_path: Path, text: str, said: str) -> None:
    """Each error names its line, and the nearest valid value."""
    path = tmp_path / "q.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError) as error:
        read(path, "ada", KNOWN)
    assert f"{path}{said}" in str(error.value)


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    """A file with three errors is read once to find three."""
    path = tmp_path / "q.jsonl"
    lines = ['{"run": "aaa", "harm": true}', "no json", '{"run": "bbb", "judge": "right"}']
    path.write_text("\n".join(lines), "utf-8")
    with pytest.raises(InputError) as error:
        read(path, "ada", KNOWN)
    assert [line.split(":")[1] for line in str(error.value).splitlines()] == ["1", "2", "3"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.sampled_from([".csv", ".jsonl"]))
def test_hostile_files(tmp_path: Path, data: bytes, suffix: str) -> None:
    """Whatever a file holds, it is read or refused."""
    path = tmp_path / f"hostile{suffix}"
    path.write_bytes(data)
    with suppress(InputError):
        read(path, "ada", KNOWN)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=20)))
def test_a_round_trip(notes: list[str]) -> None:
    """Notes with commas, quotes and newlines come back as they were but for space around them."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "q.csv"
        rows = [
            dict.fromkeys(COLUMNS, "") | {"run": f"r{n}", "outcome": "unclear", "note": f"n {note}"}
            for n, note in enumerate(notes)
        ]
        write(path, rows)
        sheet = read(path, "ada", frozenset(row["run"] for row in rows))
        assert [x.note for x in sheet.labels] == [f"n {note}".strip() for note in notes]


def test_an_entry_as_json(store: Store, tmp_path: Path) -> None:
    """JSONL holds the same columns."""
    row: RunRow = enter_run(store, "aaa")
    path = tmp_path / "q.jsonl"
    write(path, entries(store, [row]))
    assert list(json.loads(path.read_text("utf-8"))) == list(COLUMNS)
