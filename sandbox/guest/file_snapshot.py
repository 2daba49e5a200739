"""The stat manifest: which files changed between two looks at the agent's folders.

A file is taken as changed when inode, mode, size, mtime_ns or ctime_ns differ; the last cannot be
set from user space. Contents of what changed are hashed. Files that come and go between two looks
are missed: process tracing sees those.
"""

from __future__ import annotations

import os
import stat

from sandbox.guest.effects import effect, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sandbox.guest.messages import Action, GuestEffect

    Entry = tuple[int, int, int, int, int]

HASH_LIMIT = 16 * 1024 * 1024
"""Files above this size, in bytes, are reported with their size alone."""
EFFECT_LIMIT = 1000
"""Effects of one call beyond this number are counted as dropped."""


class FileSnapshot:
    """What the folders held at the last look."""

    def __init__(self, roots: tuple[str, ...]) -> None:
        self.roots = roots
        self.entries: dict[str, Entry] = {}
        """Path → inode, mode, size in bytes, mtime_ns, ctime_ns."""
        self.hashes: dict[str, str] = {}
        """Path → SHA-256 in hex, of files put there at the start or seen to change."""

    def begin(self, hashes: dict[str, str]) -> None:
        """Take what there is as the start.

        Args:
            hashes: Path → SHA-256 in hex, of the files put there.
        """
        self.entries = self.scan()
        self.hashes = hashes

    def scan(self) -> dict[str, Entry]:
        """Return what the folders hold now."""
        entries: dict[str, Entry] = {}
        pending = [*self.roots]  # a stack of our own: folders may be deeper than Python recurses
        while pending:
            try:
                with os.scandir(pending.pop()) as listing:
                    for item in listing:
                        try:
                            info = item.stat(follow_symlinks=False)
                        except OSError:
                            continue  # must not hide the rest of the folder
                        entries[item.path] = (
                            info.st_ino,
                            info.st_mode,
                            info.st_size,
                            info.st_mtime_ns,
                            info.st_ctime_ns,
                        )
                        if item.is_dir(follow_symlinks=False):
                            pending.append(item.path)
            except OSError:
                continue  # gone while looking, or its path is longer than the kernel takes
        return entries

    def look(self) -> tuple[list[GuestEffect], int]:
        """Look again and return the effects since the last look, and how many were dropped."""
        now = self.scan()
        if now == self.entries:
            return [], 0
        changed = sorted({path for path, _ in now.items() ^ self.entries.items()})
        effects = [
            change
            for path in changed[:EFFECT_LIMIT]
            if (change := self._effect(path, self.entries.get(path), now.get(path)))
        ]
        self.entries = now
        return effects, max(0, len(changed) - EFFECT_LIMIT)

    def _effect(self, path: str, old: Entry | None, new: Entry | None) -> GuestEffect | None:
        before = self.hashes.pop(path, None)
        if new is None:
            assert old is not None
            return _effect("delete", path, type=_kind(old[1]), before=before)
        kind = _kind(new[1])
        after = _hash(path, new[2]) if kind == "file" else None
        if after is not None:
            self.hashes[path] = after
        if kind == "folder" and old is not None and old[:2] == new[:2]:
            return None  # its own times change with every entry: those are reported instead
        detail = {"type": kind, "size": new[2], "mode": oct(stat.S_IMODE(new[1]))}
        if old is None:
            return _effect("create", path, **detail, after=after)
        if before == after and before is not None and old[1] == new[1]:
            return None  # touched, not changed
        return _effect("write", path, **detail, before=before, after=after)


def _effect(action: Action, path: str, **detail: object) -> GuestEffect:
    return effect("file", action, printable(path), "manifest", "done", **detail)


def _hash(path: str, size: int) -> str | None:
    if size > HASH_LIMIT:
        return None
    import hashlib  # loads OpenSSL, which most runs can do without

    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return None
        return hashlib.sha256(file.read(HASH_LIMIT)).hexdigest()


def _kind(mode: int) -> str:
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
    return kinds.get(stat.S_IFMT(mode), "special")
