"""Signatures of manifests: Ed25519 (RFC 8032) through ``cryptography``; keys are PEM files.

A signature says that whoever holds the private key made the manifest. Whose key it is, readers must
know from elsewhere: they give the public key to ``sandbox runs verify --key``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sandbox.errors import InputError

PRIVATE, PUBLIC = "sandbox.key", "sandbox.pub"
_ALGORITHM = "ed25519"


def generate(folder: Path) -> tuple[Path, Path]:
    """Make a key pair in a folder; return the paths of the private and the public key.

    Raises:
        InputError: There is one already, or the folder cannot be written.
    """
    private, public = folder / PRIVATE, folder / PUBLIC
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    told = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Made with its mode, never readable by others for a moment; an existing key is never lost.
        _write(private, secret, 0o600)
        _write(public, told, 0o644)
    except FileExistsError as error:
        raise InputError(f"{error.filename}: is there already; keys are not overwritten") from error
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}") from error
    return private, public


def _write(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def private_key(path: Path) -> Ed25519PrivateKey:
    """Return the private key in a PEM file.

    Raises:
        InputError: There is none.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path}: holds no private key that needs no password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path}: is no Ed25519 key; make one with: sandbox key new DIR")
    return key


def public_key(path: Path) -> Ed25519PublicKey:
    """Return the public key in a PEM file.

    Raises:
        InputError: There is none.
    """
    try:
        raw = path.read_bytes()
        if b"PRIVATE KEY" in raw:
            raise InputError(f"{path}: is a private key; --key wants the public one, {PUBLIC}")
        key = serialization.load_pem_public_key(raw)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path}: holds no public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"{path}: is no Ed25519 key")
    return key


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return what names a key for people and manifests: SHA-256 of its 32 bytes, in hex."""
    return hashlib.sha256(_raw(key)).hexdigest()


def sign(key: Ed25519PrivateKey, manifest: bytes) -> bytes:
    """Return the signature file of a manifest; the same key and manifest give the same bytes."""
    told = {
        "algorithm": _ALGORITHM,
        "key": base64.b64encode(_raw(key.public_key())).decode(),
        "signature": base64.b64encode(key.sign(manifest)).decode(),
    }
    return json.dumps(told, indent=2, sort_keys=True).encode() + b"\n"


def check(manifest: bytes, signature: bytes, key: Ed25519PublicKey | None) -> Ed25519PublicKey:
    """Return the key that signed a manifest.

    Args:
        manifest: Its bytes.
        signature: What :func:`sign` made of it.
        key: The key that must have signed it; None takes the one that the signature names.

    Raises:
        ValueError: It is no signature, another key made it, or it is of another manifest.
    """
    try:
        told = json.loads(signature)
        named = Ed25519PublicKey.from_public_bytes(_decoded(told["key"]))
        made = _decoded(told["signature"])
        algorithm = told["algorithm"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("the signature cannot be read") from error
    if algorithm != _ALGORITHM:
        raise ValueError("the signature is of an algorithm that is not known here")
    if key is not None and _raw(key) != _raw(named):
        raise ValueError(f"it was signed with another key, {fingerprint(named)[:16]}…")
    try:
        named.verify(made, manifest)
    except InvalidSignature as error:
        raise ValueError("the signature is not of this manifest") from error
    return named


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
