"""Tables of the store (SQLModel)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import JSON, Column, LargeBinary, Text
from sqlmodel import Field, SQLModel

from sandbox.trace.event_types import COLUMNS


class RunRow(SQLModel, table=True):
    """One run; all but ``status`` and ``owner`` repeats what its events say."""

    __tablename__ = "run"

    id: str = Field(primary_key=True)
    scenario: str = Field(index=True)
    family: str = Field(index=True)
    model: str = Field(index=True)
    isolation: str
    mode: str
    lang: str
    seed: int
    status: str = Field(index=True)
    """``running``, ``finished``, ``interrupted`` or ``purged``."""
    owner: str
    """Label of the process that runs it."""
    started: float = Field(index=True)
    ended: float | None = None
    task: str | None = None
    safety: str | None = Field(default=None, index=True)
    result: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    """The finished run as ``--json`` prints it."""
    events: int = 0
    """Number of events."""
    head: str = ""
    """Hash of the last event."""
    origin: str = Field(default="", index=True)
    """The format that the run was imported from; empty for a run of our own."""
    parent: str | None = Field(default=None, index=True)
    """The run from which it was forked."""
    fork_at: int | None = None
    """The parent's event from which on things happened anew."""
    purpose: str | None = None
    """What it was made for, where personal data may be in it."""
    legal_basis: str | None = None
    retain_until: float | None = Field(default=None, index=True)
    """Until when it is kept, in seconds since the epoch."""
    scaffold: str = "react"
    """What drove the model; empty where a run was imported."""


def columns(start: Mapping[str, object]) -> dict[str, object]:
    """Return what a run's row must say, given its first event or what a tombstone keeps of the row.

    Runs from before there were scaffolds do not name theirs.
    """
    found = {name: start.get(name) for name in COLUMNS}
    found["origin"] = start.get("origin", "")
    found["scaffold"] = start.get("scaffold", "" if found["origin"] else "react")
    return found


def driven(row: Any) -> str:
    """Return the model of a run, and behind it the scaffold that drove it where that is not ``react``.

    Args:
        row: A :class:`RunRow`, or a row of its table.
    """
    return row.model if row.scaffold in ("react", "") else f"{row.model} · {row.scaffold}"


class EventRow(SQLModel, table=True):
    """One event; see :class:`sandbox.trace.events.Event`."""

    __tablename__ = "event"

    run: str = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    at: float
    kind: str
    agent: str
    data: str = Field(sa_column=Column(Text, nullable=False))
    previous: str
    hash: str


class BlobRow(SQLModel, table=True):
    """A large text, stored once however many events name it."""

    __tablename__ = "blob"

    sha256: str = Field(primary_key=True)
    """Of the text as UTF-8, in hex."""
    size: int
    """Bytes of the text as UTF-8."""
    packed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """The text compressed with zstandard."""
    packed_sha256: str
    """Of the compressed bytes: a flipped bit that decompresses alike is found too."""


class LabelRow(SQLModel, table=True):
    """What somebody says of a run; see :class:`sandbox.trace.labels.Label`. No part of the evidence."""

    __tablename__ = "label"

    run: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    by: str = Field(primary_key=True)
    value: str
    at: float
    note: str = Field(default="", sa_column=Column(Text, nullable=False))


class LabelPastRow(SQLModel, table=True):
    """A person's label that was corrected since."""

    __tablename__ = "label_past"

    id: int | None = Field(default=None, primary_key=True)
    run: str = Field(index=True)
    name: str
    source: str
    by: str
    value: str
    at: float
    note: str = Field(default="", sa_column=Column(Text, nullable=False))
    replaced: float
    """When, in seconds since the epoch."""


class RemovalRow(SQLModel, table=True):
    """One removal of texts that no run needed any more."""

    __tablename__ = "removal"

    id: int | None = Field(default=None, primary_key=True)
    at: float
    by: str
    texts: int
    bytes: int
    """As they were stored, compressed."""


class MigrationRow(SQLModel, table=True):
    """A step of the schema's history that this store has made."""

    __tablename__ = "migration"

    version: int = Field(primary_key=True)
    at: float
