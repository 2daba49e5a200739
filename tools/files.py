"""Files: the agent's own folder, and whatever else of the container its user may reach."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress

from sandbox.sdk.tools import ToolError, World, closest, tool

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is slow to import, and the guest does not need it
    from collections.abc import Iterator, MutableSequence, Sequence
    from typing import Any

    Entry = os.DirEntry[str]
    Entries = Sequence[Entry]

_SIZE_LIMIT = 8 * 1024 * 1024
_SEARCHED = 1024 * 1024
_LISTED, _MATCHES, _LINE, _SECONDS = 500, 100, 200, 5.0


@tool()
def list(world: World, folder: str = ".", recursive: bool = False) -> str:
    """List the files and folders of a folder, with their sizes in bytes.

    Args:
        folder: Path of the folder, relative to the agent's own.
        recursive: Whether the folders inside it are listed too.
    """
    with _errors(world, folder):
        found = _entries(world, folder, deep=recursive)
        lines = [_line(world, item) for item in found[:_LISTED]]
    if len(found) > _LISTED:
        lines.append(f"[{len(found) - _LISTED} more]")
    return "\n".join(lines) or "the folder is empty"


@tool(reads_untrusted=True, reads_sensitive=True)
def read(world: World, path: str, offset: int = 0, limit: int = 20000) -> str:
    """Read a text file.

    Args:
        path: Path of the file, relative to the agent's own folder.
        offset: Number of characters to leave out at its beginning.
        limit: The most characters to return.
    """
    with _errors(world, path):
        data = _load(world.path(path))
    text = _text(data)
    if text is None:
        return f"{path} is a binary file of {len(data)} bytes"
    start = min(max(offset, 0), len(text))
    end = min(start + max(limit, 1), len(text))
    more = f"\n[characters {start} to {end} of {len(text)}; go on with offset {end}]"
    return text[start:end] + (more if end < len(text) else "")


@tool(paths=("path",))
def write(world: World, path: str, content: str) -> str:
    """Write a text file; what it held before is lost. Folders on the way are made.

    Args:
        path: Path of the file, relative to the agent's own folder.
        content: All that the file is to hold.
    """
    return _put(world, path, content, os.O_TRUNC)


@tool(paths=("path",))
def append(world: World, path: str, content: str) -> str:
    """Add text to the end of a file, which is made if there is none.

    Args:
        path: Path of the file, relative to the agent's own folder.
        content: The text to add; a line break before it is not put by itself.
    """
    return _put(world, path, content, os.O_APPEND)


@tool(irreversible=True, paths=("path",))
def delete(world: World, path: str, recursive: bool = False) -> str:
    """Delete a file or a folder for good.

    Args:
        path: Path of the file or folder, relative to the agent's own.
        recursive: Whether a folder is deleted with all that it holds.
    """
    with _errors(world, path):
        target = world.path(path)
        if os.path.islink(target) or not os.path.isdir(target):
            os.unlink(target)
        elif recursive:
            import shutil

            shutil.rmtree(target)
        else:
            os.rmdir(target)
    return f"deleted {path}"


@tool(paths=("source", "destination"))
def move(world: World, source: str, destination: str) -> str:
    """Move or rename a file or a folder.

    Args:
        source: Path of what to move, relative to the agent's own folder.
        destination: Its whole new path; nothing may be there yet.
    """
    import shutil

    with _errors(world, source):
        old = world.path(source)
        os.lstat(old)
    with _errors(world, destination):
        new = world.path(destination)
        if os.path.lexists(new):
            raise ToolError(f"{destination} exists already")
        os.makedirs(os.path.dirname(new), exist_ok=True)
        shutil.move(old, new)
    return f"moved {source} to {destination}"


@tool(reads_untrusted=True, reads_sensitive=True)
def search(world: World, text: str, folder: str = ".") -> str:
    """Find the lines of text files that hold a text, whatever its case.

    Args:
        text: The text to look for.
        folder: Path of the folder to look in, with all folders inside it.
    """
    import time

    found: MutableSequence[str] = []
    words, deadline = text.casefold(), time.monotonic() + _SECONDS
    with _errors(world, folder):
        for item in _entries(world, folder, deep=True):
            found += _matching(world, item, words)
            if len(found) > _MATCHES or time.monotonic() > deadline:
                return "\n".join([*found[:_MATCHES], "[there may be more: look in fewer folders]"])
    return "\n".join(found) or f"no file holds {text!r}"


def _matching(world: World, item: Entry, words: str) -> Iterator[str]:
    with suppress(OSError, ToolError):
        text = _text(_load(item.path, _SEARCHED)) if item.is_file(follow_symlinks=False) else None
        for number, line in enumerate((text or "").splitlines(), 1):
            if words in line.casefold():
                yield f"{_relative(world, item.path)}:{number}: {line.strip()[:_LINE]}"


def _entries(world: World, folder: str, *, deep: bool) -> Entries:
    with os.scandir(world.path(folder)) as listing:
        found = [*listing]
    pending = [*found] if deep else []
    while pending:  # not os.walk: it recurses, and an agent may nest folders without end
        item = pending.pop()
        if item.is_dir(follow_symlinks=False):
            with suppress(OSError), os.scandir(item.path) as listing:
                inside = [*listing]
                found += inside
                pending += inside
    return sorted(found, key=lambda item: item.path)


def _line(world: World, item: Entry) -> str:
    name = _relative(world, item.path)
    if item.is_dir(follow_symlinks=False):
        return f"{name}/"
    if item.is_symlink():
        return f"{name}  a link"
    return f"{name}  {item.stat(follow_symlinks=False).st_size}"


def _put(world: World, name: str, content: str, how: int) -> str:
    data = content.encode("utf-8", "replace")
    with _errors(world, name):
        path = world.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with _open(path, os.O_WRONLY | os.O_CREAT | how, "wb") as file:
            file.write(data)
    return f"wrote {len(data)} bytes to {name}"


def _load(path: str, limit: int = _SIZE_LIMIT) -> bytes:
    with _open(path, os.O_RDONLY, "rb") as file:
        data: bytes = file.read(limit + 1)
    if len(data) > limit:
        raise ToolError(f"the file holds more than {limit} bytes; read parts of it with a command")
    return data


def _open(path: str, flags: int, mode: str) -> Any:
    # Never to wait for the other end of a pipe, nor to write into one: the guest serves one call
    # at a time, and its own channels are open in this process.
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, mode)
    os.close(handle)
    raise ToolError(f"{path} is a folder or a special file, not a regular one")


def _text(data: bytes) -> str | None:
    with suppress(UnicodeDecodeError):
        return None if b"\0" in data else data.decode()
    return None


def _relative(world: World, path: str) -> str:
    inside = path[len(world.home) + 1 :] if path.startswith(world.home + "/") else path
    return inside.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@contextmanager
def _errors(world: World, name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ToolError(f"{name}: no such file or folder{_near(world, name)}") from None
    except OSError as error:
        raise ToolError(f"{name}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise ToolError(f"{name!r} cannot be used as a path") from None


def _near(world: World, name: str) -> str:
    try:
        names = [_relative(world, item.path) for item in _entries(world, f"{name}/..", deep=False)]
    except OSError:
        return ""
    near = closest(_relative(world, world.path(name)), names, cutoff=0.6)
    return f" (did you mean {near!r}?)" if near else f" (there are: {', '.join(names[:20])})"
