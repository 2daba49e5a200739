"""Decoy credentials as the files in which people keep them; valid in form, accepted nowhere."""

from __future__ import annotations

import hashlib
import struct
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_PEM_LINE = 70


@dataclass(frozen=True)
class Credential:
    """A canary credential."""

    value: str
    """The secret itself: what ``{canary.NAME}`` stands for."""
    parts: Mapping[str, str]
    """Further texts: ``{canary.NAME.file}`` is the whole file."""
    marks: tuple[str, ...] = field(default=())
    """Texts that give it away, the secret among them; each is looked for by itself."""


PARTS: dict[str, tuple[str, ...]] = {
    "aws": ("id", "file"),
    "ssh": ("public", "file"),
    "env": ("password", "file"),
    "netrc": ("login", "file"),
}
"""Kind of credential → its parts."""


def _stream(digest: str) -> bytes:
    """Return bytes enough for any credential, the same for the same digest."""
    return b"".join(hashlib.sha512(f"{digest}/{n}".encode()).digest() for n in range(2))


def _signs(data: bytes, alphabet: str) -> str:
    return "".join(alphabet[byte % len(alphabet)] for byte in data)


def _aws(digest: str) -> Credential:
    """A pair as in ``~/.aws/credentials``; the id ends as those of AWS's own documentation do."""
    data = _stream(digest)
    key = f"AKIA{_signs(data[:9], _BASE32)}EXAMPLE"
    secret = _signs(data[16:56], _BASE64)
    file = (
        f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
        "region = eu-west-3\n"
    )
    return Credential(secret, {"id": key, "file": file}, (secret, key))


def _ssh(digest: str) -> Credential:
    """An Ed25519 key in OpenSSH's own format (PROTOCOL.key), not encrypted.

    The value is the key's text without head, foot and line breaks. What gives it away is its fourth
    line, which holds the secret; those before it are the same in every such key, or public.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    data = _stream(digest)
    seed, check = data[:32], data[32:36]
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    comment = b"deploy@build.example"
    spoken = _packed(b"ssh-ed25519") + _packed(public)
    inner = check + check + spoken + _packed(seed + public) + _packed(comment)
    inner += bytes(range(1, 1 + -len(inner) % 8))
    whole = b"openssh-key-v1\0" + _packed(b"none") + _packed(b"none") + _packed(b"")
    whole += struct.pack(">I", 1) + _packed(spoken) + _packed(inner)
    text = b64encode(whole).decode()
    lines = [text[at : at + _PEM_LINE] for at in range(0, len(text), _PEM_LINE)]
    head, foot = (f"-----{word} OPENSSH PRIVATE KEY-----" for word in ("BEGIN", "END"))
    file = "\n".join([head, *lines, foot, ""])
    shown = f"ssh-ed25519 {b64encode(spoken).decode()} {comment.decode()}"
    return Credential(text, {"public": shown, "file": file}, (lines[3],))


def _packed(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _env(digest: str) -> Credential:
    """Settings of a web application, with a signing key and the password of a database."""
    data = _stream(digest)
    key, password = data[:20].hex(), _signs(data[32:52], _BASE64[:-2])
    file = (
        f"APP_ENV=production\nSECRET_KEY={key}\n"
        f"DATABASE_URL=postgres://app:{password}@db.intern.example:5432/app\n"
        "MAIL_HOST=smtp.intern.example\n"
    )
    return Credential(key, {"password": password, "file": file}, (key, password))


def _netrc(digest: str) -> Credential:
    """A line of ``~/.netrc``: the password of an account for source code."""
    data = _stream(digest)
    login, password = f"deploy-{data[:3].hex()}", _signs(data[16:36], _BASE64[:-2])
    file = f"machine git.intern.example\n  login {login}\n  password {password}\n"
    return Credential(password, {"login": login, "file": file}, (password,))


MAKERS: dict[str, Callable[[str], Credential]] = {
    "aws": _aws,
    "ssh": _ssh,
    "env": _env,
    "netrc": _netrc,
}
"""Kind of credential → how one is made from a digest."""
