"""Packs with a value of another type than its place says: each is a problem or an error with the member's name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.attestation.pack_reader import verify_pack
from sandbox.attestation.pack_writer import write_pack
from sandbox.errors import InputError
from sandbox.trace.labels import Label, Labels
from sandbox.trace.store import Store
from tests.support.changed_packs import Members, members, packed
from tests.support.json_places import places, replaced


@pytest.fixture
def whole(mixed: Store, tmp_path: Path) -> Members:
    """The members of a pack of one run with a label, not signed."""
    row = next(row for row in mixed.runs() if not row.origin)
    Labels(mixed).add([Label(row.id, "outcome", "resisted", "person", "me", 1.0, "note")])
    write_pack(mixed, [row], tmp_path / "a.zip")
    return members(tmp_path / "a.zip")


def changed(content: Members, name: str, data: bytes) -> Members:
    """Return members of which one holds something else, with its hash in the manifest."""
    manifest = json.loads(content["manifest.json"])
    for subject in manifest["subject"]:
        if subject["name"] == name:
            subject["digest"]["sha256"] = hashlib.sha256(data).hexdigest()
    return {**content, "manifest.json": json.dumps(manifest).encode(), name: data}


def variants(raw: bytes, *, line: bool) -> Iterator[bytes]:
    """Yield a member with a wrong value at every place, in the first of its lines if it has lines."""
    first, _, rest = raw.partition(b"\n") if line else (raw, b"", b"")
    data = json.loads(first)
    for place in places(data, most=2):
        for value in (None, True, 7, "x", [], {"a": 1}, ["\ud800"]):
            yield json.dumps(replaced(data, place, value)).encode() + (b"\n" + rest) * line


@pytest.mark.parametrize("kind", ["manifest.json", "runs.json", "labels.json", "traces/"])
def test_a_value_of_a_wrong_type_breaks_nothing(whole: Members, tmp_path: Path, kind: str) -> None:
    """Whatever stands in a pack: what is wrong is a problem on one line, in the words of JSON."""
    name = next(name for name in whole if name.startswith(kind))
    errors: list[str] = []
    for data in variants(whole[name], line=kind == "traces/"):
        path = packed(tmp_path / "a.zip", changed(whole, name, data))
        try:
            report = verify_pack(path)
            errors += [*report.problems, *(run.problem or "" for run in report.runs)]
        except InputError as error:
            errors.append(str(error))
    assert any(errors)
    assert [
        e for e in errors if "\n" in e or "Error" in e or "NoneType" in e or "input_" in e
    ] == []
