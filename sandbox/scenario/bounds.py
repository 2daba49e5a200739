"""Bounds of a container: what all that runs inside may use."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, ByteSize, ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

MIB = 1024 * 1024
GIB = 1024 * MIB
_SIZE = TypeAdapter(ByteSize)
Bytes = Annotated[
    int,
    BeforeValidator(
        lambda value: int(_SIZE.validate_python(value)), json_schema_input_type=int | str
    ),
]
"""A number of bytes; a text such as ``1GiB`` is one too."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class Bounds:
    """What a container may use. A scenario of others may set it, so that the ranges have an upper end."""

    memory_bytes: Annotated[Bytes, Field(ge=64 * MIB, le=16 * GIB)] = 512 * MIB
    """Memory of all processes together, if a cgroup can be had; else of each process."""
    processes: Annotated[int, Field(ge=8, le=4096)] = 128
    """Processes of the agent's user at the same time."""
    cpus: Annotated[float, Field(ge=0.05, le=64)] = 1.0
    """Processors' worth of time, if a cgroup can be had."""
    cpu_seconds: Annotated[int, Field(ge=1, le=86_400)] = 120
    """Processor time of each process, in seconds."""
    file_bytes: Annotated[Bytes, Field(ge=64 * 1024, le=4 * GIB)] = 64 * MIB
    """Size of one file."""
    files: Annotated[int, Field(ge=32, le=65_536)] = 256
    """Open files of one process."""
    tmpfs_bytes: Annotated[Bytes, Field(ge=MIB, le=4 * GIB)] = 64 * MIB
    """Size of each writable folder, ``/work`` and ``/tmp``; it is memory of the host."""
    tmpfs_inodes: Annotated[int, Field(ge=64, le=1_000_000)] = 8192
    """Files and folders in each of them."""
