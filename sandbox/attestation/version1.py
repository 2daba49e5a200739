"""Packs and sweep manifests of version 1, signed in a form of our own: they are read, never written."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Base64Bytes, BaseModel
from securesystemslib.signer import SSlibKey

from sandbox.attestation import signatures
from sandbox.attestation.in_toto import Attestation, PackPredicate, SweepPredicate
from sandbox.scenario.validation import parse_as
from sandbox.trace.events import canonical

PACK, SWEEP = "agent-risk-sandbox/evidence", "agent-risk-sandbox/statement"
SIGNATURE = "manifest.sig"


class _Signature(BaseModel):
    algorithm: Literal["ed25519"]
    key: Base64Bytes
    signature: Base64Bytes


class _File(BaseModel):
    sha256: str


class _Pack(PackPredicate):
    format: Literal["agent-risk-sandbox/evidence"]
    version: Literal[1]
    files: dict[str, _File]


class _Sweep(BaseModel):
    format: Literal["agent-risk-sandbox/statement"]
    version: Literal[1]
    manifest: SweepPredicate
    signature: dict[str, str] | None = None


def pack(raw: bytes, signature: bytes | None) -> Attestation[PackPredicate]:
    """Read the manifest of a pack.

    Raises:
        ValueError: It is none of version 1.
    """
    manifest = parse_as(_Pack, json.loads(raw))
    digests = {name: {"sha256": file.sha256} for name, file in manifest.files.items()}
    check = partial(_verify, signature, raw, manifest.signed_by) if signature is not None else None
    return Attestation(manifest, digests, (), SIGNATURE, check)


def sweep(raw: bytes) -> Attestation[SweepPredicate]:
    """Read the manifest of a sweep.

    Raises:
        ValueError: It is none of version 1.
    """
    data = json.loads(raw)
    read = parse_as(_Sweep, data)
    manifest, signed = read.manifest, canonical(data["manifest"]).encode()
    signature = json.dumps(read.signature).encode()
    check = (
        partial(_verify, signature, signed, manifest.signed_by)
        if read.signature is not None
        else None
    )
    return Attestation(manifest, manifest.digests, (), "", check)


def _verify(
    signature: bytes, signed: bytes, signed_by: str | None, key: SSlibKey | None
) -> SSlibKey:
    """Do what :func:`sandbox.attestation.signatures.verify` does; the signature names its key."""
    try:
        read = _Signature.model_validate_json(signature)
        signer = signatures.of_hex(read.key.hex())
    except ValueError as error:
        raise ValueError("the signature cannot be read") from error
    if key is not None and key.keyid != signer.keyid:
        raise ValueError(f"it was signed with another key, {signer.keyid[:16]}…")
    try:
        Ed25519PublicKey.from_public_bytes(read.key).verify(read.signature, signed)
    except InvalidSignature as error:
        raise ValueError("the signature is not of this manifest") from error
    if signed_by != hashlib.sha256(read.key).hexdigest():
        raise ValueError("it names another key than the one that signed it")
    return signer
