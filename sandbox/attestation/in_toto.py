"""In-toto statements (https://in-toto.io/Statement/v1): digests of subjects, and what we say of them.

A pack's statement has the digests of its members as subjects, a sweep's statement the heads of its runs'
chains. A signature is a DSSE envelope around the statement's bytes (:mod:`sandbox.attestation.signatures`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, Field, JsonValue
from securesystemslib.signer import SSlibKey

from sandbox.attestation import signatures
from sandbox.errors import InputError
from sandbox.scenario.validation import parse_as
from sandbox.trace.tables import RunRow

_ROW = [
    "id",
    "scenario",
    "family",
    "model",
    "isolation",
    "mode",
    "lang",
    "seed",
    "origin",
    "status",
    "task",
    "safety",
    "started",
    "ended",
    "events",
    "head",
    "scaffold",
]
_START = [
    "scenario_sha256",
    "model_described",
    "limits",
    "bounds",
    "monitors",
    "rules",
    "escalation",
    "versions",
    "scaffold_sha256",
    "pseudonymised",
]
_IMAGE = ("backend", "version", "image")
Digests = dict[str, dict[str, str]]
"""Name of a subject → algorithm → digest."""


class RunEntry(BaseModel, extra="allow"):
    """What a statement says of a run: these fields, which are checked, and how it was configured."""

    id: str
    head: str
    events: int
    status: str
    model: str
    task: str | None
    safety: str | None

    @classmethod
    def of(
        cls, row: RunRow, start: Mapping[str, object], containers: Sequence[Mapping[str, object]]
    ) -> RunEntry:
        """Return the entry of a run.

        Args:
            row: Its row.
            start: Data of its first event.
            containers: Data of its events ``container.open``.
        """
        return cls.model_validate(
            {name: getattr(row, name) for name in _ROW}
            | {name: start[name] for name in _START if name in start}
            | {"containers": [{k: data[k] for k in _IMAGE if k in data} for data in containers]}
        )


class PackPredicate(BaseModel):
    """What the statement of an evidence pack says; its subjects are the pack's members."""

    TYPE: ClassVar[str] = "urn:agent-risk-sandbox:evidence-pack:v2"
    signed_by: str | None = None
    """Public key that signs it, as hex: a signature that was removed is missed."""
    runs: list[RunEntry]


class SweepPredicate(PackPredicate):
    """What the statement of a sweep says; its subjects are the sweep's file and the heads of its runs."""

    TYPE: ClassVar[str] = "urn:agent-risk-sandbox:sweep:v2"
    sweep: dict[str, JsonValue]
    items: list[dict[str, JsonValue]]

    @property
    def digests(self) -> Digests:
        """The subjects. A head is no digest of a file, so it does not stand as one of SHA-256."""
        file = {"sha256": str(self.sweep.get("spec_sha256"))}
        heads = {run.id: {"chainHead": run.head} for run in self.runs if run.head}
        return {f"sweep {self.sweep.get('id')}": file} | heads


P = TypeVar("P", bound=PackPredicate)


class _Subject(BaseModel):
    name: str
    digest: dict[str, str]


class _Statement(BaseModel):
    type_: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: list[_Subject]
    predicate_type: str = Field(alias="predicateType")
    predicate: dict[str, object]


@dataclass(frozen=True)
class Attestation(Generic[P]):
    """A statement that was read, and how its signature is checked."""

    predicate: P
    digests: Digests
    problems: Sequence[str] = ()
    signature_file: str = ""
    """Member of the pack that holds the signature."""
    signer: Callable[[SSlibKey | None], SSlibKey] | None = None
    """Returns the key that signed it, which must be the given one if there is one; raises ValueError. None
    if there is no signature."""


def encode(digests: Digests, predicate: PackPredicate) -> bytes:
    """Return a statement's bytes; the same content gives the same bytes."""
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": digest} for name, digest in sorted(digests.items())],
        "predicateType": predicate.TYPE,
        "predicate": predicate.model_dump(),
    }
    return json.dumps(statement, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"


def decode(
    raw: bytes, envelope: bytes | None, kind: type[P], signature_file: str
) -> Attestation[P]:
    """Read a statement.

    Args:
        raw: Its bytes.
        envelope: The DSSE envelope that holds its signature, if there is one.
        kind: What it must say.
        signature_file: Name of the envelope.

    Raises:
        InputError: It was written by a newer version.
        ValueError: It is no statement of this kind.
    """
    statement = parse_as(_Statement, json.loads(raw))
    expected, _, version = kind.TYPE.rpartition(":")
    if statement.predicate_type.rpartition(":")[0] != expected:
        raise ValueError(f"its predicate is not of the type {kind.TYPE}")
    if not statement.predicate_type.endswith(f":{version}"):
        raise InputError("was written by a newer version of sandbox")
    predicate = parse_as(kind, statement.predicate)
    digests = {subject.name: subject.digest for subject in statement.subject}
    counts = Counter(subject.name for subject in statement.subject)
    repeated = [f"{name}: is named twice" for name, count in counts.items() if count > 1]
    check = (
        partial(signatures.verify, envelope, raw, predicate.signed_by)
        if envelope is not None
        else None
    )
    return Attestation(predicate, digests, repeated, signature_file, check)
