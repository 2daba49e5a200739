"""Keys of pseudonyms: 32 random bytes in a file of their own that nobody else can read."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from sandbox.errors import InputError

BYTES = 32
_HEAD = "sandbox pseudonym key 1 "


def read_key(path: Path) -> bytes:
    """Return the key in a file.

    Raises:
        InputError: It cannot be read, is no key, or others than its owner can read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read(len(_HEAD) + 2 * BYTES + 2)
    except OSError as error:
        raise InputError(f"cannot read the key {path}: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError(f"the key {path} can be read by others: chmod 600 {path}")
    try:
        text = raw.decode("ascii").strip()
        key = bytes.fromhex(text.removeprefix(_HEAD))
    except ValueError:
        text, key = "", b""
    if not text.startswith(_HEAD) or len(key) != BYTES:
        raise InputError(
            f"{path} holds no key of pseudonyms; a new one is made if the file is missing"
        )
    return key


def made_key(path: Path) -> bytes:
    """Return the key in a file; make both if the file is missing.

    Raises:
        InputError: It cannot be read or made.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_key(path)
    except OSError as error:
        raise InputError(f"cannot make the key {path}: {error.strerror}") from error
    key = secrets.token_bytes(BYTES)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        os.fchmod(file.fileno(), 0o600)  # whatever the umask says
        file.write(f"{_HEAD}{key.hex()}\n")
    return key
