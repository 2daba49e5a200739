"""Signatures that other programs read: DSSE envelopes, in-toto statements, ids of keys; and those of version 1."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from sandbox.attestation import signatures, statement
from sandbox.attestation.pack_reader import import_pack, verify_pack
from sandbox.attestation.pack_writer import write_pack
from sandbox.errors import InputError
from sandbox.trace.labels import Labels
from sandbox.trace.store import Store
from sandbox.trace.verify import verify_all
from tests.support.changed_packs import (
    CHANGES,
    Members,
    change_page,
    members,
    packed,
)

VERSION_1 = Path(__file__).parent / "data" / "version1"
"""A pack and a manifest of a sweep, signed by version 0.1.0, and the public key."""
ENVELOPE = "manifest.intoto.jsonl"


@pytest.fixture
def signed(store: Store, tmp_path: Path) -> tuple[Path, Path]:
    """A signed pack of the runs of the pack of version 1, and the public key."""
    import_pack(store, VERSION_1 / "runs.pack.zip")
    private, public = signatures.generate(tmp_path / "keys")
    path = tmp_path / "a.pack.zip"
    write_pack(store, store.runs(), path, key=signatures.private_key(private))
    return path, public


def test_the_example_of_the_documents_verifies_a_pack(signed: tuple[Path, Path]) -> None:
    """What stands in docs/exchange.md for readers without the sandbox does it."""
    documents = (Path(__file__).parents[2] / "docs" / "exchange.md").read_text("utf-8")
    code = documents.partition("```python\n")[2].partition("```")[0]
    words = [sys.executable, "-c", code]
    shown = subprocess.run(words, check=True, capture_output=True, cwd=signed[0].parent).stdout
    assert b"runs.json" in shown


def pae(envelope: bytes) -> tuple[bytes, bytes]:
    """Return what DSSE signs, put together by its specification, and the signature."""
    data = json.loads(envelope)
    kind, payload = data["payloadType"].encode(), base64.b64decode(data["payload"])
    parts = b"DSSEv1", b"%d" % len(kind), kind, b"%d" % len(payload), payload
    return b" ".join(parts), base64.b64decode(data["signatures"][0]["sig"])


def test_the_library_of_others_verifies_a_pack(signed: tuple[Path, Path]) -> None:
    """Another library accepts the envelope by the public key alone, and no envelope that was changed."""
    content = members(signed[0])
    key = load_pem_public_key(signed[1].read_bytes())
    data = json.loads(content[ENVELOPE])
    envelope = Envelope.from_dict(json.loads(content[ENVELOPE]))
    theirs = SSlibKey.from_crypto(key)
    assert list(envelope.verify([theirs], threshold=1)) == [theirs.keyid]
    assert envelope.payload == content["manifest.json"]
    payload = base64.b64decode(data["payload"]).replace(b"scripted/", b"openai/")
    changed = Envelope.from_dict(data | {"payload": base64.b64encode(payload).decode()})
    with pytest.raises(VerificationError):
        changed.verify([theirs], threshold=1)


def test_the_signature_is_over_the_pre_authentication_encoding(signed: tuple[Path, Path]) -> None:
    """Whoever has the specification and an implementation of Ed25519 needs nothing else."""
    message, signature = pae(members(signed[0])[ENVELOPE])
    key = load_pem_public_key(signed[1].read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    key.verify(signature, message)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_verifies_a_pack(signed: tuple[Path, Path], tmp_path: Path) -> None:
    """The command line of openssl accepts it, and nothing that was changed."""
    message, signature = pae(members(signed[0])[ENVELOPE])
    (tmp_path / "signature").write_bytes(signature)
    words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(signed[1]), "-rawin"]
    words += ["-in", str(tmp_path / "message"), "-sigfile", str(tmp_path / "signature")]
    for text, status in ((message, 0), (message + b" ", 1)):
        (tmp_path / "message").write_bytes(text)
        assert subprocess.run(words, check=False, capture_output=True).returncode == status


def parsed(payload: bytes) -> statement_pb2.Statement:
    """Return a statement as in-toto's own package reads it, which finds nothing wrong."""
    read = json_format.Parse(payload, statement_pb2.Statement())
    Statement.copy_from_pb(read).validate()
    return read


def test_in_toto_reads_the_statement_of_a_pack(signed: tuple[Path, Path]) -> None:
    """Its subjects are the digests of all members, so that each can be checked alone."""
    content = members(signed[0])
    read = parsed(content["manifest.json"])
    assert read.predicate_type == "urn:agent-risk-sandbox:evidence-pack:v2"
    assert {each.name: dict(each.digest) for each in read.subject} == {
        name: {"sha256": hashlib.sha256(raw).hexdigest()}
        for name, raw in content.items()
        if not name.startswith("manifest.")
    }


def test_in_toto_reads_the_statement_of_a_sweep(tmp_path: Path) -> None:
    """Its subjects are the sweep's file and the heads of the chains."""
    private, public = signatures.generate(tmp_path)
    predicate = statement.verify(VERSION_1 / "sweep.manifest.json")[1]
    path = tmp_path / "sweep.json"
    statement.write(path, predicate, signatures.private_key(private))
    envelope = Envelope.from_dict(json.loads(path.read_text()))
    envelope.verify([SSlibKey.from_crypto(load_pem_public_key(public.read_bytes()))], threshold=1)
    read = parsed(envelope.payload)
    heads = {
        each.name: each.digest["chainHead"] for each in read.subject if "chainHead" in each.digest
    }
    assert heads == {run.id: run.head for run in predicate.runs}
    assert statement.verify(path, signatures.public_key(public))[0].signature == "valid"


def test_ids_of_keys_are_those_of_the_library(signed: tuple[Path, Path]) -> None:
    """SHA-256 of the key's canonical JSON, in the envelope and in what is found."""
    raw = load_pem_public_key(signed[1].read_bytes()).public_bytes_raw()  # type: ignore[union-attr]
    canonical = f'{{"keytype":"ed25519","keyval":{{"public":"{raw.hex()}"}},"scheme":"ed25519"}}'
    keyid = hashlib.sha256(canonical.encode()).hexdigest()
    assert json.loads(members(signed[0])[ENVELOPE])["signatures"][0]["keyid"] == keyid
    assert verify_pack(signed[0]).signer == keyid


def unreadable(content: Members) -> str:
    """Put something else in the envelope's place."""
    content[ENVELOPE] = b'{"payload": 1}'
    return "the signature cannot be read"


def another_type(content: Members) -> str:
    """Say that the payload is of another type, which a reader of that type would take otherwise."""
    content[ENVELOPE] = content[ENVELOPE].replace(b"vnd.in-toto+json", b"vnd.in-toto+yaml")
    return "the signature is not of this manifest"


def another_payload(content: Members) -> str:
    """Change the manifest within the envelope only."""
    data = json.loads(content[ENVELOPE])
    payload = base64.b64decode(data["payload"]).replace(b'"safe"', b'"sane"')
    content[ENVELOPE] = json.dumps(data | {"payload": base64.b64encode(payload).decode()}).encode()
    return "the signature is not of this manifest"


def no_signature(content: Members) -> str:
    """Empty the list of signatures."""
    data = json.loads(content[ENVELOPE])
    content[ENVELOPE] = json.dumps(data | {"signatures": []}).encode()
    return "another key"


def signer_removed(content: Members) -> str:
    """Take the signer's key out of the manifest, and leave the envelope."""
    manifest = json.loads(content["manifest.json"])
    manifest["predicate"]["signed_by"] = None
    content["manifest.json"] = json.dumps(manifest).encode()
    return "the signature is not of this manifest"


def named_twice(content: Members) -> str:
    """Name a member twice with two digests."""
    manifest = json.loads(content["manifest.json"])
    manifest["subject"].append(manifest["subject"][0] | {"digest": {"sha256": "0" * 64}})
    content["manifest.json"] = json.dumps(manifest).encode()
    return "is named twice"


@pytest.mark.parametrize(
    "change",
    [unreadable, another_type, another_payload, no_signature, signer_removed, named_twice],
    ids=lambda change: change.__name__,
)
def test_every_change_of_an_envelope_is_found(
    signed: tuple[Path, Path], tmp_path: Path, change: Callable[[Members], str]
) -> None:
    """Whatever part of envelope or statement does not fit the others is named, and the pack refused."""
    content = members(signed[0])
    problem = change(content)
    path = packed(tmp_path / "changed.zip", content)
    report = verify_pack(path, signatures.public_key(signed[1]))
    assert (report.ok, report.signature) == (False, "wrong")
    assert any(problem in each for each in report.problems)


def test_subjects_that_are_not_of_the_runs_are_found(tmp_path: Path) -> None:
    """Readers of subjects and readers of runs see the same heads, or are warned."""
    predicate = statement.verify(VERSION_1 / "sweep.manifest.json")[1]
    path = tmp_path / "sweep.json"
    statement.write(path, predicate, None)
    data = json.loads(path.read_text())
    data["subject"][0]["digest"] = {"chainHead": "0" * 64}
    path.write_text(json.dumps(data))
    problems = statement.verify(path)[0].problems
    assert problems == ["its subjects are not the heads of the runs that it names"]


def test_a_pack_of_version_1_is_proved_and_imported(store: Store, tmp_path: Path) -> None:
    """Signature, files, chains, rows and labels of a pack that version 0.1.0 wrote are sound."""
    path, key = VERSION_1 / "runs.pack.zip", signatures.public_key(VERSION_1 / "sandbox.pub")
    report, entered, _ = import_pack(store, path, key)
    assert (report.ok, report.signature, report.signer) == (True, "valid", key.keyid)
    assert verify_pack(path).signature == "unknown"
    assert all(found.ok for found in verify_all(store, store.runs()))
    assert (len(entered), [label.by for label in Labels(store).find()]) == (2, ["ada"])
    other = signatures.public_key(signatures.generate(tmp_path)[1])
    assert "it was signed with another key" in verify_pack(path, other).problems[0]


@pytest.mark.parametrize(
    "change", [change for change in CHANGES if change is not change_page], ids=lambda x: x.__name__
)
def test_every_change_of_a_pack_of_version_1_is_found_and_named(
    tmp_path: Path, change: Callable[[Members], str]
) -> None:
    """What was changed stands at the beginning of a problem, with the key and without it."""
    content = members(VERSION_1 / "runs.pack.zip")
    name = change(content)
    changed = packed(tmp_path / "changed.zip", content)
    for key in (signatures.public_key(VERSION_1 / "sandbox.pub"), None):
        report = verify_pack(changed, key)
        assert not report.ok
        assert any(problem.startswith(name) for problem in report.problems)


def test_a_pack_cannot_pass_for_one_of_the_other_version(
    signed: tuple[Path, Path], tmp_path: Path
) -> None:
    """A signature in the form of the other version stands beside the manifest as a file that was added."""
    content = members(signed[0])
    content["manifest.sig"] = members(VERSION_1 / "runs.pack.zip")["manifest.sig"]
    report = verify_pack(packed(tmp_path / "a.zip", content))
    assert report.problems == ["manifest.sig: was added; the manifest does not list it"]


def test_a_manifest_of_a_sweep_of_version_1_is_proved(store: Store, tmp_path: Path) -> None:
    """Alone, and against the runs; a change, a signature taken off and another key are named."""
    path, key = VERSION_1 / "sweep.manifest.json", signatures.public_key(VERSION_1 / "sandbox.pub")
    import_pack(store, VERSION_1 / "runs.pack.zip")
    report, predicate = statement.verify(path, key, store)
    assert (report.ok, report.signature, report.signer) == (True, "valid", key.keyid)
    assert {run.ok for run in report.runs} == {True}
    assert len(predicate.runs) == len(predicate.items) == 2
    text, changed = path.read_text(), tmp_path / "changed.json"
    changed.write_text(text.replace('"safe"', '"unsafe"'))
    assert statement.verify(changed, key)[0].problems == ["the signature is not of this manifest"]
    data = json.loads(text)
    del data["signature"]
    changed.write_text(json.dumps(data))
    assert statement.verify(changed, None)[0].problems == ["the signature is missing"]
    other = signatures.public_key(signatures.generate(tmp_path)[1])
    assert "another key" in statement.verify(path, other)[0].problems[0]


@pytest.mark.parametrize(
    "manifest", [b"[]", b"{", b'{"_type": 1}', b'{"format": 1}', b"[" * 10_000]
)
def test_manifests_that_are_none_are_refused(
    signed: tuple[Path, Path], tmp_path: Path, manifest: bytes
) -> None:
    """What is no statement is refused in one line that names the file."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", manifest)
        archive.writestr("runs.json", b"[]")
    with pytest.raises(InputError, match=r"a\.zip: manifest.json cannot be read") as error:
        verify_pack(path)
    assert "\n" not in str(error.value)
