"""Manifests of sweeps: signed, proved alone and against a store; whatever was changed is named."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.attestation import signatures, statement
from sandbox.errors import InputError
from sandbox.sweeps.manifest import manifest
from sandbox.trace.purging import purge
from sandbox.trace.store import Store
from tests.support.cli import document, sandbox
from tests.support.sweeps import Sweeper


@pytest.fixture
async def stated(sweeper: Sweeper, tmp_path: Path) -> tuple[Path, Path, Store]:
    """A signed manifest of a sweep of two models, its public key, and the store."""
    row = sweeper.create(models=["scripted/safe", "scripted/unsafe"])
    row = await sweeper.execute(row)
    private, public = signatures.generate(tmp_path / "keys")
    path = tmp_path / "a.manifest.json"
    statement.write(path, manifest(sweeper.store, row), signatures.private_key(private))
    return path, public, sweeper.store


def payload(path: Path) -> Any:
    """Return the statement within a signed manifest."""
    return json.loads(base64.b64decode(json.loads(path.read_text())["payload"]))


def changed(path: Path, **told: Any) -> Path:
    """Change what the first run of a manifest says, and its subject with it."""
    data, statement = json.loads(path.read_text()), payload(path)
    run = statement["predicate"]["runs"][0]
    subject = next(each for each in statement["subject"] if each["name"] == run["id"])
    run |= told
    subject |= {"name": run["id"], "digest": {"chainHead": run["head"]}}
    data["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    path.write_text(json.dumps(data))
    return path


async def test_it_says_what_was_run_with_what(stated: tuple[Path, Path, Store]) -> None:
    """The file, each item, and for each run versions, image, configuration and head."""
    path, public, store = stated
    report, told = statement.verify(path, signatures.public_key(public), store)
    assert (report.ok, report.signature, len(report.runs)) == (True, "valid", 2)
    assert told.sweep["name"] == payload(path)["predicate"]["sweep"]["spec"]["name"] == "nightly"
    assert {item["run"] for item in told.items} == {run.id for run in told.runs}
    assert {item["scaffold"] for item in told.items} == {"react"}
    for run in payload(path)["predicate"]["runs"]:
        assert run["head"] == store.run(run["id"]).head
        assert run["versions"]
        assert run["limits"]
        assert run["containers"][0]["image"]


async def test_the_same_sweep_gives_the_same_bytes(
    stated: tuple[Path, Path, Store], tmp_path: Path
) -> None:
    """Made again with the same key it is the same file."""
    path, _, _ = stated
    predicate = statement.verify(path)[1]
    key = signatures.private_key(tmp_path / "keys" / "sandbox.key")
    statement.write(tmp_path / "b.json", predicate, key)
    assert (tmp_path / "b.json").read_bytes() == path.read_bytes()


async def test_a_change_a_stripped_signature_and_another_key_are_found(
    stated: tuple[Path, Path, Store], tmp_path: Path
) -> None:
    """Alone, without a store, the signature tells."""
    path, public, _ = stated
    key = signatures.public_key(public)
    _, other = signatures.generate(tmp_path / "others")
    assert "another key" in statement.verify(path, signatures.public_key(other))[0].problems[0]
    whole = path.read_text()
    found = statement.verify(changed(path, safety="safe", head="0" * 64), key)[0]
    assert found.problems == ["the signature is not of this manifest"]
    path.write_text(whole)
    path.write_text(json.dumps(payload(path)))
    assert statement.verify(path, None)[0].problems == ["the signature is missing"]


async def test_a_store_that_says_otherwise_is_found(stated: tuple[Path, Path, Store]) -> None:
    """A run that is missing, or has another chain, is named; one that was purged since is not."""
    path, _, store = stated
    report, told = statement.verify(path, None, store)
    purge(store, [store.run(told.runs[0].id)], reason="expired", by="ada")
    assert all(run.ok for run in statement.verify(path, None, store)[0].runs)
    found = statement.verify(changed(path, id="no-such-run"), None, store)[0]
    assert found.runs[0].problem == "the run is not in this store"
    found = statement.verify(changed(path, id=told.runs[1].id), None, store)[0]
    assert found.runs[0].problem == "its chain ends in another event than was stated"
    assert report.ok


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": 1}',
        '{"format": "agent-risk-sandbox/statement", "version": 1, "manifest": {"runs": [1]}}',
    ],
)
def test_what_is_no_statement_is_refused(tmp_path: Path, text: str) -> None:
    """Other files, and damaged ones, are told in words."""
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=str(path)):
        statement.verify(path)


async def test_the_commands(stated: tuple[Path, Path, Store], tmp_path: Path) -> None:
    """Made and proved by command; the status is 1 where something is wrong."""
    _, public, store = stated
    database = Path(store.url.removeprefix("sqlite:///"))
    path = tmp_path / "b.json"
    words = ("--to", str(path), "--key", str(tmp_path / "keys" / "sandbox.key"), "--json")
    assert document(sandbox("sweep", "manifest", "nightly", *words, store=database))["runs"] == 2
    proof = ("runs", "verify", str(path), "--key", str(public), "--json")
    assert document(sandbox(*proof, store=tmp_path / "none.db"))["packs"][0]["signature"] == "valid"
    assert len(document(sandbox(*proof, "--stored", store=database))["runs"]) == 2
    changed(path, head="0" * 64)
    assert sandbox(*proof, store=tmp_path / "none.db").returncode == 1
