"""Signatures: Ed25519 keys in PEM files, and DSSE envelopes around in-toto statements.

An envelope (https://github.com/secure-systems-lab/dsse) says that whoever holds the private key made the
statement in it. Whose key it is, readers must know from elsewhere: they give the public key to
``sandbox runs verify --key``. Envelopes and ids of keys are those of securesystemslib.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from sandbox.errors import InputError
from sandbox.scenario.validation import parse_as

PRIVATE, PUBLIC = "sandbox.key", "sandbox.pub"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
_NOT_OF_THIS = "the signature is not of this manifest"
K = TypeVar("K", Ed25519PrivateKey, Ed25519PublicKey)


class _Signature(BaseModel):
    keyid: str
    sig: str


class _Envelope(BaseModel):
    payload: str
    payloadType: str  # noqa: N815 - DSSE's own name
    signatures: list[_Signature]


def generate(folder: Path) -> tuple[Path, Path]:
    """Make a key pair in a folder; return the paths of the private and the public key.

    Raises:
        InputError: There is one already, or the folder cannot be written.
    """
    private, public = folder / PRIVATE, folder / PUBLIC
    key = Ed25519PrivateKey.generate()
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    shared = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Made with its mode, never readable by others for a moment; an existing key is never lost.
        _write(private, secret, 0o600)
        _write(public, shared, 0o644)
    except FileExistsError as error:
        raise InputError(f"{error.filename}: is there already; keys are not overwritten") from error
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}") from error
    return private, public


def _write(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def private_key(path: Path) -> CryptoSigner:
    """Return the private key in a PEM file.

    Raises:
        InputError: There is none.
    """
    load = lambda raw: serialization.load_pem_private_key(raw, None)  # noqa: E731
    missing = "holds no private key that needs no password"
    return CryptoSigner(_load(path, load, Ed25519PrivateKey, missing))  # type: ignore[type-abstract]


def public_key(path: Path) -> SSlibKey:
    """Return the public key in a PEM file.

    Raises:
        InputError: There is none.
    """

    def load(raw: bytes) -> object:
        if b"PRIVATE KEY" in raw:
            raise InputError(f"{path}: is a private key; --key wants the public one, {PUBLIC}")
        return serialization.load_pem_public_key(raw)

    key = _load(path, load, Ed25519PublicKey, "holds no public key")  # type: ignore[type-abstract]
    return SSlibKey.from_crypto(key)


def _load(path: Path, load: Callable[[bytes], object], kind: type[K], missing: str) -> K:
    try:
        key = load(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path}: {missing}") from error
    if not isinstance(key, kind):
        raise InputError(f"{path}: is no Ed25519 key; make one with: sandbox key new DIR")
    return key


def of_hex(public: str) -> SSlibKey:
    """Return the key of 32 bytes in hex.

    Raises:
        ValueError: They are none.
    """
    return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)))


def sign(key: CryptoSigner, payload: bytes) -> bytes:
    """Return an envelope on one line; the same key and payload give the same bytes."""
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(key)
    return json.dumps(envelope.to_dict()).encode() + b"\n"


def payload(envelope: bytes) -> bytes:
    """Return the bytes that an envelope is around.

    Raises:
        ValueError: It is no envelope.
    """
    return _opened(envelope).payload


def _opened(envelope: bytes) -> Envelope:
    return Envelope.from_dict(parse_as(_Envelope, json.loads(envelope)).model_dump())


def verify(
    envelope: bytes, payload: bytes, signed_by: str | None, key: SSlibKey | None
) -> SSlibKey:
    """Return the key that signed a statement.

    Args:
        envelope: Holds the signature.
        payload: Bytes of the statement.
        signed_by: Public key, as hex, that the statement names as its signer's.
        key: The key that must have signed it; None takes that one.

    Raises:
        ValueError: It is no envelope, another key signed it, or it is of another statement.
    """
    try:
        read = _opened(envelope)
        signer = of_hex(signed_by) if signed_by else None
    except (ValueError, RecursionError) as error:
        raise ValueError("the signature cannot be read") from error
    expected = key or signer
    if expected is None or (key is None and expected.keyid not in read.signatures):
        raise ValueError("it names another key than the one that signed it")
    if expected.keyid not in read.signatures:
        others = ", ".join(f"{name[:16]}…" for name in read.signatures) or "none"
        raise ValueError(f"it was signed with another key, {others}")
    if (read.payload, read.payload_type) != (payload, PAYLOAD_TYPE):
        raise ValueError(_NOT_OF_THIS)
    try:
        read.verify([expected], threshold=1)
    except VerificationError as error:
        raise ValueError(_NOT_OF_THIS) from error
    if signer is None or signer.keyid != expected.keyid:
        raise ValueError("it names another key than the one that signed it")
    return expected
