"""Pseudonymised exports: no personal value of a run is left in any format, and the copies are provable."""

from __future__ import annotations

import base64
import json
import re
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sandbox.attestation.pack_layout import MANIFEST
from sandbox.attestation.pack_reader import import_pack, verify_pack
from sandbox.detectors.pii import PersonalDataFinder
from sandbox.errors import InputError
from sandbox.privacy.pseudonymization import pseudonymised, refuse_key_in
from sandbox.privacy.pseudonyms import Pseudonymiser
from sandbox.trace.annotations import PERSON, annotate
from sandbox.trace.labels import Label, Labels
from sandbox.trace.purging import purge
from sandbox.trace.store import Store
from sandbox.trace.verify import result_digest, verify_all
from tests.support.cli import document, sandbox
from tests.support.traces import BEGAN, Writer, call, score, start

IBAN, MAIL, PHONE, PERSON_NAME = (
    "FR7630006000011234567890189",
    "ada.roy@mairie.fr",
    "06 12 34 56 78",
    "Zoé Marchal",
)
FORMATS = {
    "pack": "a.zip",
    "jsonl": "a.jsonl",
    "otel": "a.otel",
    "inspect": "a.eval",
    "parquet": "tables",
}


def nested(store: Store) -> None:
    """Enter a run whose texts hold JSON in JSON, long texts, files, keys and an agent that is a person."""
    inner = json.dumps({"to": MAIL, "more": json.dumps([{"iban": IBAN, PERSON_NAME: PHONE}])})
    told = start(["clerk"])
    world = json.loads(told["scenario_text"])
    world["files"]["people.csv"] = base64.b64encode(
        f"{PERSON_NAME};{PHONE};{MAIL}\n".encode()
    ).decode()
    world["sections"]["mail"]["messages"][0]["body"] = f"Write to {PERSON_NAME.upper()} <{MAIL}>"
    told["scenario_text"] = json.dumps(world)
    told |= {
        "family": "injection",
        "isolation": "bubblewrap",
        "owner": "",
        "started": 1.0,
        "scenario_sha256": "ab" * 32,
    }
    writer = Writer(store, "dddd00000004")
    writer.add("run.start", told)
    writer.add("message", {"role": "user", "content": f"Pay {PERSON_NAME}, {IBAN}."}, PERSON_NAME)
    call(writer, "c0", {"args": inner}, inner * 40, agent=PERSON_NAME)
    score(writer, "safe")
    writer.row(safety="safe", result={"verdicts": [], "reason": f"told {MAIL}", "head": ""})


def strings(value: Any) -> Iterator[str]:
    """Yield all texts in JSON data, those in JSON within texts too."""
    if isinstance(value, str):
        yield value
        try:
            held = json.loads(value)
        except ValueError:
            return
        if isinstance(held, (dict, list)):
            yield from strings(held)
    elif isinstance(value, dict):
        yield from (text for pair in value.items() for each in pair for text in strings(each))
    elif isinstance(value, list):
        yield from (text for each in value for text in strings(each))


def personal(store: Store) -> set[str]:
    """Return every personal value in the events of a store, as it is written there."""
    finder, found = PersonalDataFinder([PERSON_NAME]), set()
    for row in store.runs():
        for item in store.events(row.id):
            for text in strings(store.content(item)):
                found |= {text[each.start : each.end] for each in finder.find(text)}
    return found


def exported(path: Path) -> str:
    """Return all that a file or folder says, unpacked, with what stands in base64 beside."""
    if path.is_dir():
        tables = [pq.read_table(each).to_pylist() for each in path.iterdir()]
        return json.dumps(tables, ensure_ascii=False, default=str)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return "\n".join(archive.read(name).decode() for name in archive.namelist())
    return path.read_text("utf-8")


def unescaped(text: str) -> str:
    """Return a text with its escapes of JSON resolved, as often as they are nested."""
    return re.sub(
        r"\\+u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text.replace('\\"', '"')
    )


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """A file of names."""
    path = tmp_path / "names.txt"
    path.write_text(f"{PERSON_NAME}\n\n", "utf-8")
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_no_personal_value_is_left(mixed: Store, tmp_path: Path, names: Path, name: str) -> None:
    """Whatever was found in the runs, nested in JSON or not, stands in no export of any format."""
    nested(mixed)
    values = personal(mixed)
    assert {IBAN, MAIL, PHONE, PERSON_NAME, PERSON_NAME.upper()} <= values
    target, key = tmp_path / "out" / FORMATS[name], tmp_path / "key"
    target.parent.mkdir()
    database = str(tmp_path / "mixed" / "runs.db")
    words = (
        "--to",
        str(target),
        "--format",
        name,
        "--pseudonymise",
        str(key),
        "--names",
        str(names),
    )
    done = document(sandbox("runs", "export", "all", *words, "--json", store=Path(database)))
    assert done["replaced"]["iban"] > 3
    told = unescaped(exported(target))
    assert [value for value in sorted(values) if value in told] == []
    assert key.read_text().split()[-1] not in told
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_files_of_the_world_are_looked_into(mixed: Store) -> None:
    """The files of a world stand in base64 in the first event: their texts are replaced as well."""
    nested(mixed)
    with pseudonymised(mixed, mixed.runs(), Pseudonymiser(b"k" * 32, [PERSON_NAME])) as (copy, _):
        first = copy.content(next(iter(copy.events("dddd00000004"))))
        files = json.loads(first["scenario_text"])["files"]
        people = base64.b64decode(files["people.csv"]).decode()
        assert people.count(";") == 2
        assert not {PERSON_NAME, PHONE, MAIL} & set(people.strip().split(";"))
        assert base64.b64decode(files["notes.txt"]) == b"one\ntwo\nthree\n"


def test_the_same_key_gives_the_same_pseudonyms(mixed: Store, tmp_path: Path, names: Path) -> None:
    """Two exports with one key say the same; with another key they do not."""
    database = tmp_path / "mixed" / "runs.db"
    for name, key in (("a", "one"), ("b", "one"), ("c", "two")):
        words = ("--to", str(tmp_path / name), "--format", "jsonl", "--names", str(names))
        more = ("--pseudonymise", str(tmp_path / key))
        assert sandbox("runs", "export", "all", *words, *more, store=database).returncode == 0
    told = [(tmp_path / name).read_text() for name in "abc"]
    assert told[0] == told[1] != told[2]


def test_a_pseudonymised_pack_proves_itself_and_names_both_heads(
    mixed: Store, tmp_path: Path
) -> None:
    """Each copy has a chain of its own; the manifest says that it is one, and the head of the original."""
    path, database = tmp_path / "a.zip", tmp_path / "mixed" / "runs.db"
    purge(mixed, [mixed.runs()[0]], reason="a person asked", by="ada")
    words = ("--to", str(path), "--pseudonymise", str(tmp_path / "key"))
    assert sandbox("runs", "export", "all", *words, store=database).returncode == 0
    report = verify_pack(path)
    assert (report.ok, len(report.runs)) == (True, 6)
    with zipfile.ZipFile(path) as archive:
        entries = json.loads(archive.read(MANIFEST))["predicate"]["runs"]
    heads = {row.id: row.head for row in mixed.runs() if row.status == "finished"}
    told = {
        entry["id"]: entry["pseudonymised"]["head"]
        for entry in entries
        if entry["status"] == "finished"
    }
    assert told == heads
    assert all(entry["head"] != heads[entry["id"]] for entry in entries if entry["id"] in heads)
    with Store(str(tmp_path / "other.db")) as other:
        import_pack(other, path)
        assert all(found.ok for found in verify_all(other, other.runs()))
        assert {row.origin for row in other.runs() if row.status == "finished"} == {
            "pseudonymised",
            "inspect",
        }


def test_a_run_from_before_scaffolds(store: Store) -> None:
    """Its first event names no scaffold; the copy proves itself all the same."""
    writer = Writer(store, "dddd00000005")
    more = {"started": BEGAN, "family": "injection", "isolation": "bubblewrap", "owner": ""}
    writer.add("run.start", start(["clerk"]) | more)
    result: dict[str, object] = {"verdicts": [], "reason": ""}
    told = {"task": "done", "safety": "safe", "conditions": {}, "reason": "", "terminated": ""}
    writer.add("run.score", told)
    writer.add("run.end", {"used": {}, "result_sha256": result_digest(result)})
    ended = BEGAN + (writer.count - 1) / 10
    writer.row(safety="safe", result=result, ended=ended)
    with pseudonymised(store, store.runs(), Pseudonymiser(b"k" * 32, [])) as (copy, rows):
        assert [(found.ok, found.problem) for found in verify_all(copy, rows)] == [(True, None)]
        assert [row.scaffold for row in rows] == ["react"]


def test_who_labelled_is_a_person(mixed: Store) -> None:
    """Labels go with the copies; the name of who set one is replaced, whether it is listed or not."""
    row = mixed.runs()[0]
    annotate(mixed, [Label(row.id, "harm", "2", PERSON, "Zoé  Marchal", note=f"see {MAIL}")])
    pseudonyms = Pseudonymiser(b"k" * 32, [PERSON_NAME])
    with pseudonymised(mixed, [row], pseudonyms) as (copy, _):
        label = next(iter(Labels(copy).find(name="harm")))
        assert label.by == pseudonyms.text(PERSON_NAME) == pseudonyms.person(PERSON_NAME)
        assert (label.value, MAIL in label.note) == ("2", False)


def test_the_key_is_kept_apart(tmp_path: Path) -> None:
    """A key in the folder that is exported, or in the place of the export, is refused."""
    for key in (tmp_path / "out", tmp_path / "out" / "key"):
        with pytest.raises(InputError, match="keep it apart"):
            refuse_key_in(str(tmp_path / "out"), key)
    refuse_key_in(str(tmp_path / "out"), tmp_path / "key")
    refuse_key_in("http://127.0.0.1:4318", tmp_path / "key")
