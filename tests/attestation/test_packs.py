"""Evidence packs: proved by themselves, the same in every store, and every change is named."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.attestation import pack_reader, signatures
from sandbox.attestation.archives import Archive
from sandbox.attestation.pack_layout import is_pack
from sandbox.attestation.pack_reader import import_pack, verify_pack
from sandbox.attestation.pack_writer import write_pack
from sandbox.errors import InputError
from sandbox.trace.annotations import PERSON, annotate
from sandbox.trace.labels import Label, Labels
from sandbox.trace.store import Store
from sandbox.trace.verify import verify_all
from tests.support.changed_packs import (
    CHANGES,
    Members,
    change_byte,
    change_outcome,
    cut_end,
    members,
    packed,
    remove_event,
    swap_runs,
    trace_of,
)


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private and a public key."""
    return signatures.generate(tmp_path / "keys")


@pytest.fixture
def pack(mixed: Store, keys: tuple[Path, Path], tmp_path: Path) -> Path:
    """A signed pack of mixed runs, with a page."""
    path = tmp_path / "a.pack.zip"
    key = signatures.private_key(keys[0])
    write_pack(
        mixed, mixed.runs(), path, key=key, replay=lambda store, rows: b"<html>replay</html>"
    )
    return path


def dump(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Return all that a store holds of runs."""
    with store.engine.connect() as connection:
        return {
            table: sorted(
                map(tuple, connection.exec_driver_sql(f"SELECT * FROM {table}")),  # noqa: S608
                key=repr,
            )
            for table in ("run", "event", "blob")
        }


def test_a_pack_is_proved_without_the_store(pack: Path, keys: tuple[Path, Path]) -> None:
    """Signature, files, chains and rows are sound, and the manifest says what was run with what."""
    report = verify_pack(pack, signatures.public_key(keys[1]))
    assert (report.ok, report.signature, report.problems) == (True, "valid", [])
    assert len(report.runs) == 6
    assert verify_pack(pack).signature == "unknown"
    told = json.loads(members(pack)["manifest.json"])
    runs = told["predicate"]["runs"]
    own = next(run for run in runs if run["scenario"] == "injection/changed-iban")
    assert own["containers"][0]["backend"] == "bubblewrap"
    assert own["containers"][0]["image"]
    assert {"versions", "limits", "monitors", "scenario_sha256", "head", "events"} <= own.keys()
    subjects = {subject["name"] for subject in told["subject"]}
    assert any(name.startswith("scenarios/") for name in subjects)
    assert {"replay.html", "runs.json"} < subjects


def test_the_same_runs_give_the_same_bytes(
    mixed: Store, pack: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    """Neither order nor time is in a pack."""
    again = tmp_path / "b.pack.zip"
    write_pack(
        mixed,
        mixed.runs()[::-1],
        again,
        key=signatures.private_key(keys[0]),
        replay=lambda store, rows: b"<html>replay</html>",
    )
    assert pack.read_bytes() == again.read_bytes()


def test_a_pack_in_another_store_is_identical(mixed: Store, pack: Path, tmp_path: Path) -> None:
    """Rows, events and texts are the same; a pack made of them has the same traces; twice is once."""
    with Store(str(tmp_path / "other.db")) as other:
        _, entered, present = import_pack(other, pack)
        assert (len(entered), present) == (6, [])
        assert dump(other) == dump(mixed)
        assert all(found.ok for found in verify_all(other, other.runs()))
        _, entered, present = import_pack(other, pack)
        assert (entered, len(present)) == ([], 6)
        again = tmp_path / "b.pack.zip"
        write_pack(other, other.runs(), again)
    first, second = members(pack), members(again)
    names = [name for name in first if name.startswith(("traces/", "scenarios/", "runs."))]
    assert {name: first[name] for name in names} == {name: second[name] for name in names}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_every_change_is_found_and_named(
    pack: Path, keys: tuple[Path, Path], tmp_path: Path, change: Callable[[Members], str]
) -> None:
    """What was changed stands at the beginning of a problem, with the key and without it."""
    content = members(pack)
    name = change(content)
    changed = packed(tmp_path / "changed.zip", content)
    for key in (signatures.public_key(keys[1]), None):
        report = verify_pack(changed, key)
        assert not report.ok
        assert any(problem.startswith(name) for problem in report.problems)
    with Store(str(tmp_path / "other.db")) as other:
        with pytest.raises(InputError, match="nothing was imported"):
            import_pack(other, changed)
        assert other.runs() == []


@pytest.mark.parametrize("change", [change_byte, remove_event, cut_end, swap_runs, change_outcome])
def test_changes_are_found_though_the_manifest_was_made_anew(
    pack: Path, tmp_path: Path, change: Callable[[Members], str]
) -> None:
    """Without a signature to break, chain and row still give it away, at the event."""
    content = members(pack)
    change(content)
    del content["manifest.intoto.jsonl"]
    told = json.loads(content["manifest.json"])
    told["predicate"]["signed_by"] = None
    for subject in told["subject"]:
        subject["digest"]["sha256"] = hashlib.sha256(content[subject["name"]]).hexdigest()
    content["manifest.json"] = json.dumps(told).encode()
    report = verify_pack(packed(tmp_path / "changed.zip", content))
    assert report.signature == "missing"
    bad = [run for run in report.runs if not run.ok]
    assert bad
    if change is remove_event:
        assert (bad[0].event, bad[0].problem) == (3, "event 3 is missing")


def test_a_pack_signed_by_another_is_refused(
    pack: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    """A manifest that was made anew and signed with another key is not the one that was expected."""
    content = members(pack)
    other = signatures.private_key(signatures.generate(tmp_path / "other")[0])
    content["manifest.intoto.jsonl"] = signatures.sign(other, content["manifest.json"])
    report = verify_pack(packed(tmp_path / "a.zip", content), signatures.public_key(keys[1]))
    assert report.signature == "wrong"
    assert "another key" in report.problems[0]
    assert "names another key" in verify_pack(tmp_path / "a.zip").problems[0]


def test_any_flipped_byte_of_the_file_is_found(
    pack: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    """Whatever byte of the content or of the directory changes, the pack is not accepted as it was."""
    raw = pack.read_bytes()
    before = members(pack)
    public = signatures.public_key(keys[1])
    flipped = tmp_path / "flipped.zip"
    for position in range(0, len(raw), max(1, len(raw) // 150)):
        changed = bytearray(raw)
        changed[position] ^= 0x10
        flipped.write_bytes(changed)
        try:
            report = verify_pack(flipped, public)
        except InputError:
            continue
        if report.ok:  # a byte that holds no content: a time, an attribute
            assert members(flipped) == before


def test_hostile_archives_are_refused(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names that lead out, names that come twice, bombs: named, and nothing is written anywhere."""
    content = members(pack)
    told = json.loads(content["manifest.json"])
    evil = {"name": "../../evil.json", "digest": {"sha256": hashlib.sha256(b"x").hexdigest()}}
    told["subject"].append(evil)
    hostile = {**content, "manifest.json": json.dumps(told).encode(), "../../evil.json": b"x"}
    report = verify_pack(packed(tmp_path / "out.zip", hostile))
    assert any(problem.startswith("../../evil.json: no pack") for problem in report.problems)
    twice = packed(tmp_path / "twice.zip", content)
    with zipfile.ZipFile(twice, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("runs.json", content["runs.json"])
    assert any("twice" in problem for problem in verify_pack(twice).problems)
    bomb = {**content, trace_of(content): b"\0" * 3_000_000}
    monkeypatch.setattr(pack_reader, "LINE_BYTES", 1_000_000)
    report = verify_pack(packed(tmp_path / "bomb.zip", bomb))
    assert any("longer than" in str(run.problem) for run in report.runs)
    assert not list(tmp_path.parent.glob("**/evil.json"))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_that_could_unpack_without_a_bound_are_refused(tmp_path: Path, method: int) -> None:
    """A method that unpacks a piece to any size at once is not read; what is broken in it breaks nothing."""
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a", b"\0" * 50_000_000)
    tracemalloc.start()
    with (
        Archive(path, member_bytes=1_000_000) as opened,
        pytest.raises(InputError, match="a method"),
    ):
        opened.read("a")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_another_run_of_the_same_id_is_not_replaced(pack: Path, tmp_path: Path) -> None:
    """A store that has another run under an id keeps it, and nothing of the pack comes in."""
    with Store(str(tmp_path / "other.db")) as other:
        import_pack(other, pack)
        run = other.runs(origin="")[0].id
        with other.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE run SET head = 'x' WHERE id = ?", (run,))
        with pytest.raises(InputError, match="another run"):
            import_pack(other, pack)


def test_keys_are_private_and_never_overwritten(keys: tuple[Path, Path], tmp_path: Path) -> None:
    """Only the owner can read the private key, and a second pair does not take its place."""
    assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600
    with pytest.raises(InputError, match="not overwritten"):
        signatures.generate(keys[0].parent)
    with pytest.raises(InputError, match="is a private key"):
        signatures.public_key(keys[0])
    with pytest.raises(InputError, match="no private key"):
        signatures.private_key(keys[1])
    (tmp_path / "x").write_text("nothing")
    with pytest.raises(InputError, match="no public key"):
        signatures.public_key(tmp_path / "x")


def test_what_is_no_pack_is_no_pack(tmp_path: Path, pack: Path) -> None:
    """Other ZIP files and other files are told from packs."""
    assert is_pack(pack)
    assert not is_pack(packed(tmp_path / "a.zip", {"a": b""}))
    (tmp_path / "b").write_bytes(b"PK\x03\x04")
    assert not is_pack(tmp_path / "b")
    content = members(pack)
    newer = content["manifest.json"].replace(b"evidence-pack:v2", b"evidence-pack:v3")
    changed = packed(tmp_path / "c.zip", {**content, "manifest.json": newer})
    with pytest.raises(InputError, match="newer version"):
        verify_pack(changed)


def test_looking_for_names_that_come_twice_takes_linear_time(tmp_path: Path) -> None:
    """Of many members one stands there twice: it is named at once."""
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(12_000):
            archive.writestr(str(number), b"")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("7", b"")
    with Archive(path) as opened:
        before = time.process_time()
        assert opened.duplicates == ["7"]
        assert time.process_time() - before < 0.5


def test_runs_that_are_still_going_are_not_packed(mixed: Store, tmp_path: Path) -> None:
    """A pack is of what is over."""
    row = mixed.runs()[0]
    row.status = "running"
    with pytest.raises(InputError, match="still going"):
        write_pack(mixed, [row], tmp_path / "a.zip")
    assert not list(tmp_path.glob("*.zip*"))


def labelled(store: Store) -> list[Label]:
    """Set labels of several people and sources; return them."""
    one, other = (row.id for row in store.runs()[:2])
    annotate(
        store,
        [
            Label(one, "outcome", "resisted", PERSON, "ada", note="it asked"),
            Label(one, "outcome", "attempted", PERSON, "bob"),
            Label(other, "harm", "3", PERSON, "ada"),
        ],
    )
    return sorted(Labels(store).find(), key=str)


def test_labels_go_with_their_runs_and_come_back(mixed: Store, tmp_path: Path) -> None:
    """They are a member of their own under the manifest's hash; traces are as they were without."""
    write_pack(mixed, mixed.runs(), tmp_path / "before.zip")
    wanted = labelled(mixed)
    write_pack(mixed, mixed.runs(), tmp_path / "a.zip")
    before, after = members(tmp_path / "before.zip"), members(tmp_path / "a.zip")
    assert all(after[name] == raw for name, raw in before.items() if name.startswith("traces/"))
    with Store(str(tmp_path / "other.db")) as other:
        assert import_pack(other, tmp_path / "a.zip")[0].restored == len(wanted)
        found = sorted(Labels(other).find(), key=str)
        assert found == wanted
        assert [x.at for x in found] == [x.at for x in wanted]
        assert import_pack(other, tmp_path / "a.zip")[0].restored == 0
        write_pack(other, other.runs(), tmp_path / "b.zip")
    assert (tmp_path / "b.zip").read_bytes() == (tmp_path / "a.zip").read_bytes()


def test_a_pack_corrects_nobody(mixed: Store, tmp_path: Path) -> None:
    """What a person has said in this store since stays as it is."""
    wanted = labelled(mixed)
    write_pack(mixed, mixed.runs(), tmp_path / "a.zip")
    mine = next(x for x in wanted if x.by == "bob")
    annotate(mixed, [Label(mine.run, mine.name, "success", PERSON, "bob")])
    Labels(mixed).remove([x for x in wanted if x.name == "harm"])
    assert import_pack(mixed, tmp_path / "a.zip")[0].restored == 1
    assert {x.value for x in Labels(mixed).find(by="bob")} == {"success"}
    assert [x.value for x in Labels(mixed).find(name="harm")] == ["3"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda raw: raw.replace(b"resisted", b"attempts"), "was changed"),
        (lambda raw: b"{", "holds no labels"),
        (lambda raw: b'[{"run": "x"}]', "holds no labels"),
        (
            lambda raw: re.sub(rb'"run": "\w+"', b'"run": "elsewhere"', raw),
            "which the pack has not",
        ),
        (lambda raw: raw.replace(b'"name": "harm"', b'"name": ""'), "a label that is none"),
    ],
)
def test_labels_that_were_changed_are_found(
    mixed: Store, tmp_path: Path, change: Callable[[bytes], bytes], problem: str
) -> None:
    """A changed label, one of another run and what is none are named, and nothing is imported."""
    labelled(mixed)
    write_pack(mixed, mixed.runs(), tmp_path / "a.zip")
    content = members(tmp_path / "a.zip")
    content["labels.json"] = change(content["labels.json"])
    report = verify_pack(packed(tmp_path / "b.zip", content))
    assert any("labels.json" in each and problem in each for each in report.problems)
    with Store(str(tmp_path / "other.db")) as other:
        with pytest.raises(InputError, match="nothing was imported"):
            import_pack(other, tmp_path / "b.zip")
        assert list(Labels(other).find()) == []
