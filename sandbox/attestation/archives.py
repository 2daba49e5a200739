"""ZIP archives of others, read with bounds: nothing is unpacked to disk, no member is trusted.

Python's ``zipfile`` knows no Zstandard (method 93 of the ZIP specification, APPNOTE 6.3.8), in which
Inspect writes its logs: such members are unpacked here.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

import zstandard

from sandbox.errors import InputError

MEMBER_BYTES = 512 * 1024 * 1024
"""The most that one member may unpack to."""
MEMBERS = 200_000
"""The most members that an archive may have."""
ZSTANDARD = 93
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Methods that ``zipfile`` unpacks piece by piece; of others it unpacks at once whatever it has read."""
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that ZIP knows: the time of writing is no content
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    zstandard.ZstdError,
    struct.error,
)


def fixed_member(name: str) -> zipfile.ZipInfo:
    """Return a member to be written of which nothing but name and content is recorded."""
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = 0o644 << 16
    return info


class Archive:
    """A ZIP file open for reading. Use as a context manager."""

    def __init__(self, path: Path, *, member_bytes: int = MEMBER_BYTES) -> None:
        """Open an archive.

        Raises:
            InputError: It is no ZIP file, has too many members, a name twice, or a name that leads out.
        """
        self.path = path
        self._most = member_bytes
        try:
            self._file: IO[bytes] = path.open("rb")
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from error
        try:
            self._zip = zipfile.ZipFile(self._file)
        except _BROKEN as error:
            self._file.close()
            raise InputError(f"{path}: is no ZIP file: {error}") from error
        self.members = {info.filename: info for info in self._zip.infolist()}
        """Name → what the directory says of it; of two with one name the later, as readers take it."""
        if len(self._zip.infolist()) > MEMBERS:
            self.close()
            raise InputError(f"{path}: more than {MEMBERS} members")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    @property
    def duplicates(self) -> list[str]:
        """Names that stand in the archive more than once."""
        counts = Counter(info.filename for info in self._zip.infolist())
        return sorted(name for name, count in counts.items() if count > 1)

    def names(self, beginning: str = "") -> list[str]:
        """Return the names of members that begin so, sorted."""
        return sorted(name for name in self.members if name.startswith(beginning))

    def read(self, name: str) -> bytes:
        """Return a member's bytes.

        Raises:
            InputError: There is no such member, it is damaged, or more than it may hold.
        """
        return b"".join(self.chunks(name))

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a member's bytes piece by piece, checked against its CRC at the end.

        Raises:
            InputError: See :meth:`read`.
        """
        info = self.members.get(name)
        if info is None:
            raise InputError(f"{self.path}: has no member {name}")
        size, crc = 0, 0
        try:
            for piece in self._pieces(info):
                size += len(piece)
                if size > self._most:
                    raise InputError(
                        f"{self.path}: {name} unpacks to more than {self._most >> 20} MiB"
                    )
                crc = zlib.crc32(piece, crc)
                yield piece
        except _BROKEN as error:
            raise InputError(f"{self.path}: {name} cannot be unpacked: {error}") from error
        if crc != info.CRC or size != info.file_size:
            raise InputError(f"{self.path}: {name} is damaged: its checksum does not match")

    def _pieces(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        if info.flag_bits & 1:
            raise ValueError("it is encrypted")
        if info.compress_type == ZSTANDARD:
            source = self._packed(info)
            with zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True) as out:
                while piece := out.read(1 << 18):
                    yield piece
            return
        if info.compress_type not in _BOUNDED:
            raise ValueError("it is packed by a method that is not read here")
        with self._zip.open(info) as member:
            while piece := member.read(1 << 18):
                yield piece

    def _packed(self, info: zipfile.ZipInfo) -> bytes:
        """Return a member as it lies in the file, behind its own header."""
        self._file.seek(info.header_offset)
        header = _LOCAL_HEADER.unpack(self._file.read(_LOCAL_HEADER.size))
        if header[0] != b"PK\x03\x04":
            raise ValueError("its header is damaged")
        if info.compress_size > self._most:
            raise ValueError("it is larger than a member may be")
        self._file.seek(header[-2] + header[-1], 1)
        packed = self._file.read(info.compress_size)
        if len(packed) != info.compress_size:
            raise ValueError("the file ends within it")
        return packed
