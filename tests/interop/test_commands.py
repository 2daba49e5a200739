"""The commands of exchange as their users see them: output, exit status, ``--json``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.cli import document, sandbox
from tests.support.import_files import MAILING, dojo, lines


@pytest.fixture
def database(mixed_file: Path, tmp_path: Path) -> Path:
    """A copy of the store with mixed runs."""
    folder = tmp_path / "mixed"
    shutil.copytree(mixed_file.parent, folder)
    return folder / "runs.db"


def test_importing_says_what_it_did(tmp_path: Path) -> None:
    """A count of new and known runs; a bad record is named, and the status is 1 then."""
    store = tmp_path / "runs.db"
    good = lines(tmp_path / "a.jsonl", dojo(), dojo(duration=9.0))
    done = sandbox("runs", "import", str(good), str(MAILING), store=store)
    assert (done.returncode, done.stdout.split(",")[0]) == (0, "5 runs imported")
    again = document(sandbox("runs", "import", str(good), "--json", store=store))
    assert (again["imported"], again["present"], again["problems"]) == (0, 2, [])
    bad = lines(tmp_path / "b.jsonl", dojo(duration=3.0), "{oops\x1b[2J")
    done = sandbox("runs", "import", str(bad), store=store)
    assert done.returncode == 1
    assert f"{bad}:2:" in done.stderr.replace("\n", "")
    assert "\x1b[2J" not in done.stderr
    assert done.stdout.startswith("1 runs imported")
    assert sandbox("runs", "verify", store=store).returncode == 0
    assert sandbox("runs", "import", str(tmp_path / "none"), store=store).returncode == 2


def test_a_pack_goes_from_store_to_store(database: Path, tmp_path: Path) -> None:
    """Make a key, export, verify without a store, import, and find a change."""
    keys, pack = tmp_path / "keys", tmp_path / "a.pack.zip"
    made = document(sandbox("key", "new", str(keys), "--json"))
    assert sandbox("key", "new", str(keys)).returncode == 2
    words = ("--to", str(pack), "--sign", made["private"], "--json")
    told = document(sandbox("runs", "export", "all", *words, store=database))
    assert len(told["runs"]) == 6
    nowhere = tmp_path / "nowhere" / "runs.db"
    done = sandbox("runs", "verify", str(pack), "--key", made["public"], "--json", store=nowhere)
    found = document(done)
    assert (done.returncode, found["ok"], len(found["runs"])) == (0, True, 6)
    assert found["packs"][0]["signature"] == "valid"
    assert found["packs"][0]["signer"] == made["fingerprint"]
    assert not nowhere.parent.exists()
    other = tmp_path / "other.db"
    done = sandbox("runs", "import", str(pack), "--key", made["public"], store=other)
    assert done.stdout.startswith("6 runs imported")
    raw = bytearray(pack.read_bytes())
    raw[len(raw) // 3] ^= 1
    pack.write_bytes(raw)
    done = sandbox("runs", "verify", str(pack), "--key", made["public"], store=nowhere)
    assert done.returncode == 1
    assert "not as they were written" in done.stdout or "not whole" in done.stdout


def test_runs_are_named_by_prefix_and_formats_by_name(database: Path, tmp_path: Path) -> None:
    """One run by the beginning of its id; a format that is not there is answered with those that are."""
    listed = document(sandbox("runs", "list", "--json", store=database))["runs"]
    path = tmp_path / "a.jsonl"
    words = (listed[0]["id"][:9], "--to", str(path), "--format", "jsonl")
    assert sandbox("runs", "export", *words, store=database).returncode == 0
    assert {json.loads(line)["run"] for line in path.read_text().splitlines()} == {listed[0]["id"]}
    done = sandbox(
        "runs", "export", "all", "--to", str(path), "--format", "inspekt", store=database
    )
    assert done.returncode == 2
    assert "inspect" in done.stderr
    done = sandbox("runs", "export", "all", "--to", str(path), "--family", "none", store=database)
    assert done.returncode == 2
