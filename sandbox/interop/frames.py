"""Frames: what a store holds as columns, with a row for each run, event, call, effect or verdict.

Columns are named as in the data frames of Inspect (``inspect_ai.analysis``) if it has the same thing: a run is
a sample, and ids are those of its exported log. Rows are made batch by batch, so that memory holds one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache, partial
from typing import Any, Protocol

import pyarrow as pa
from sqlalchemy import or_, select
from sqlmodel import col

from sandbox.errors import InputError, StoreError, nearest
from sandbox.interop.frame_rows import (
    COUNT,
    EVENT_KEYS,
    FRAMES,
    LABELS,
    RUN,
    TEXT,
    WORD,
    Columns,
    Row,
    Trace,
    agreed,
    label_column,
    run_row,
    sound,
)
from sandbox.runs.options import Checked, Texts, texts
from sandbox.sweeps.store import Sweeps
from sandbox.sweeps.tables import ItemRow, SweepRow
from sandbox.trace import blobs
from sandbox.trace.annotations import event_of
from sandbox.trace.bulk_read import Scanner, scanning
from sandbox.trace.labels import Label, Labels
from sandbox.trace.store import Store
from sandbox.trace.tables import LabelRow, RunRow

_RUNS, _ROWS, _BYTES = 200, 20_000, 32 * 1024 * 1024
"""Runs that are looked up at once; rows and bytes of text of one batch."""
_FIELDS = tuple(RunRow.model_fields)
_CACHED = 64
"""Large texts that are kept: many runs share those of their scenario."""


class Named(Protocol):
    """What has a run's id, such as a result."""

    @property
    def id(self) -> str:
        """The run's id."""
        ...


@dataclass(frozen=True, kw_only=True)
class Selection(Checked):
    """Which runs of a store, and which columns."""

    runs: str | Iterable[str | Named] | None = None
    """Ids, beginnings of ids, or results."""
    sweep: Texts | None = None
    """Ids or names of sweeps; a name means its newest."""
    scenario: Texts | None = None
    """Scenarios; * stands for any text, here and below."""
    family: Texts | None = None
    """Risk families."""
    model: Texts | None = None
    """Models."""
    origin: Texts | None = None
    """Formats that runs were imported from; an empty text for runs of our own."""
    status: Texts | None = None
    """running, finished, interrupted or purged."""
    since: datetime | date | str | float | None = None
    """Runs that began at this time or later: ISO 8601, or seconds since the epoch."""
    until: datetime | date | str | float | None = None
    """Runs that began before this time."""
    columns: Sequence[str] | None = None
    """Columns to read; all if left out."""


def batches(
    frame: str,
    store: Store,
    runs: Sequence[str],
    columns: Sequence[str] | None = None,
    done: Callable[[int], None] = lambda count: None,
) -> Iterator[pa.RecordBatch]:
    """Yield a frame in parts of at most some ten thousand rows, or some ten megabytes of text.

    Args:
        frame: ``runs``, ``events``, ``calls``, ``effects`` or ``verdicts``.
        store: Where the runs are.
        runs: Ids.
        columns: Those to read; all if left out.
        done: Called with the number of runs that were read so far.

    Raises:
        InputError: There is no such column.
        StoreError: A run cannot be read.
    """
    found = FRAMES[frame]
    wanted = pa.schema({**RUN, **_label_columns(store), **found.columns})
    for name in columns or ():
        if name not in wanted.names:
            raise InputError(f"{frame}: no column {name!r}{nearest(name, wanted.names)}")
    if columns is not None:
        wanted = pa.schema([wanted.field(name) for name in columns])
    batch = _Batch(wanted)
    with scanning(store) as scanner:
        reader = _Reader(frame, scanner, wanted.names)
        for count, (run, labels, facts) in enumerate(_facts(store, runs), 1):
            batch.begin(facts)
            rows = found.rows(reader.trace(run.id), facts) if found.rows else [run_row(run, labels)]
            for row in rows:
                if batch.add(row):
                    yield batch.flush()
            done(count)
    yield batch.flush()


def table(frame: str, store: Store, selection: Selection) -> pa.Table:
    """Return a frame of the runs that are selected.

    Raises:
        InputError: The selection names a run, a sweep, a time or a column that is none.
        StoreError: The store cannot be read.
    """
    parts = list(batches(frame, store, selected(store, selection), selection.columns))
    return pa.Table.from_batches(parts).unify_dictionaries()


def selected(store: Store, selection: Selection) -> list[str]:
    """Return the ids of the runs that are selected, oldest first; see :func:`table`."""
    query = select(col(RunRow.id)).order_by(col(RunRow.started), col(RunRow.id))
    for name in ("scenario", "family", "model", "origin", "status"):
        if (wanted := getattr(selection, name)) is not None:
            query = query.where(
                _matches(getattr(RunRow, name), (wanted,) if isinstance(wanted, str) else wanted)
            )
    if selection.since is not None:
        query = query.where(col(RunRow.started) >= _moment(selection.since))
    if selection.until is not None:
        query = query.where(col(RunRow.started) < _moment(selection.until))
    if selection.sweep is not None:
        sweeps = [Sweeps(store).get(name).id for name in texts(selection.sweep)]
        query = query.join(ItemRow, col(ItemRow.run) == col(RunRow.id))
        query = query.where(col(ItemRow.sweep).in_(sweeps))
    found = [str(row[0]) for row in store.select(query)]
    if selection.runs is None:
        return found
    named = [selection.runs] if isinstance(selection.runs, str) else selection.runs
    known = set(found)
    ids = [each if isinstance(each, str) else each.id for each in named]
    exact = {each if each in known else store.run(each).id for each in ids}
    return [each for each in found if each in exact]


def _matches(column: Any, wanted: Texts) -> Any:
    """Return the condition that a column has one of some values; ``*`` stands for any text."""

    def like(value: str) -> Any:
        parts = (
            part.replace("/", "//").replace("%", "/%").replace("_", "/_")
            for part in value.split("*")
        )
        return col(column).like("%".join(parts), escape="/")

    values = [wanted] if isinstance(wanted, str) else wanted
    return or_(*(like(value) if "*" in value else col(column) == value for value in values))


def _moment(at: datetime | date | str | float) -> float:
    """Return seconds since the epoch; a time without a zone is one of this machine.

    Raises:
        InputError: The text is no time.
    """
    if isinstance(at, int | float):
        return float(at)
    try:
        return datetime.fromisoformat(at if isinstance(at, str) else at.isoformat()).timestamp()
    except ValueError as error:
        raise InputError(
            f"{at!r} is no time: write it as 2026-03-02 or 2026-03-02T09:00"
        ) from error


def _label_columns(store: Store) -> Columns:
    found = store.select(select(col(LabelRow.name), col(LabelRow.source)).distinct())
    names = {label_column(*row) for row in found if event_of(row[0]) is None}
    return {**LABELS, **dict.fromkeys(sorted(names - LABELS.keys()), WORD)}


def _facts(store: Store, runs: Sequence[str]) -> Iterator[tuple[RunRow, list[Label], Row]]:
    """Yield runs with their labels, and the values that all frames have of them."""
    place = [getattr(ItemRow, name) for name in ("sweep", "defence", "parameters", "repetition")]
    query = (
        select(*RunRow.__table__.columns, *place, col(SweepRow.name))  # type: ignore[attr-defined]
        .outerjoin(ItemRow, col(ItemRow.run) == col(RunRow.id))
        .outerjoin(SweepRow, col(SweepRow.id) == col(ItemRow.sweep))
    )
    for start in range(0, len(runs), _RUNS):
        some = runs[start : start + _RUNS]
        labels: dict[str, list[Label]] = {}
        for label in Labels(store).of_runs(some):
            labels.setdefault(label.run, []).append(label)
        rows = {row[0]: row for row in store.select(query.where(col(RunRow.id).in_(some)))}
        for *values, sweep, defence, parameters, repetition, name in (
            rows[run] for run in some if run in rows
        ):
            run = RunRow(**dict(zip(_FIELDS, values, strict=True)))
            own = labels.get(run.id, [])
            yield (
                run,
                own,
                {
                    **{
                        key: getattr(run, key)
                        for key in ("scenario", "family", "model", "mode", "lang")
                    },
                    "sample_id": run.id,
                    "solver": run.scaffold or None,
                    "sandbox_type": run.isolation,
                    "seed": run.seed,
                    "benign": (run.result or {}).get("benign"),
                    "score_task": run.task,
                    "score_safety": run.safety,
                    "sweep": sweep,
                    "sweep_name": name,
                    "defence": defence,
                    "parameters": parameters,
                    "epoch": None if repetition is None else repetition + 1,
                    **agreed(own),
                },
            )


class _Reader:
    """Reads the events of runs for one frame, and of their data what its columns need."""

    def __init__(self, frame: str, scanner: Scanner, wanted: Sequence[str]) -> None:
        self._scanner = scanner
        self._kinds = FRAMES[frame].kinds
        self._keys: frozenset[str] | None = None
        if frame == "events" and "data" not in wanted:
            self._keys = frozenset().union(*(EVENT_KEYS.get(name, ()) for name in wanted))
        self._text = lru_cache(_CACHED)(partial(_text_of, scanner))

    def trace(self, run: str) -> Trace:
        """Yield a run's events with their data."""
        for item in self._scanner.events(run, self._kinds):
            data = json.loads(item.data) if self._keys is None or self._keys else {}
            if self._keys is not None:
                data = {key: value for key, value in data.items() if key in self._keys}
            yield item, blobs.put_back(data, self._text)


def _text_of(scanner: Scanner, sha256: str) -> str:
    row = scanner.blob(sha256)
    if row is None:
        raise StoreError(f"the text {sha256[:12]}… is missing from the store")
    try:
        return blobs.unpack(row.packed, row.size)
    except ValueError as error:
        raise StoreError(f"the text {sha256[:12]}… {error}") from error


class _Batch:
    """Gathers rows until they are worth a batch; what all rows of a run share is held once."""

    def __init__(self, wanted: pa.Schema) -> None:
        self._wanted = wanted
        self._runs: list[Row] = []
        self._rows: list[Row] = []
        self._index: list[int] = []
        self._bytes = 0

    def begin(self, facts: Row) -> None:
        """Take it that the rows from now on are of another run."""
        if not self._index or self._index[-1] < len(self._runs) - 1:
            del self._runs[-1:]  # the last one has no rows
        self._runs.append(facts)

    def add(self, row: Row) -> bool:
        """Add a row; return whether the batch is full."""
        self._rows.append(row)
        self._index.append(len(self._runs) - 1)
        self._bytes += sum(len(value) for value in row.values() if isinstance(value, str))
        return len(self._rows) >= _ROWS or self._bytes >= _BYTES

    def flush(self) -> pa.RecordBatch:
        """Return the rows so far, and begin again."""
        index = pa.array(self._index, COUNT)
        columns = [self._column(each, index) for each in self._wanted]
        self._runs, self._rows, self._index, self._bytes = self._runs[-1:], [], [], 0
        return pa.RecordBatch.from_arrays(columns, schema=self._wanted)

    def _column(self, wanted: pa.Field, index: pa.Array) -> pa.Array:
        of_run = wanted.name in RUN or (
            wanted.name.startswith("label_") and wanted.name != "label_verdict"
        )
        values = [sound(row.get(wanted.name)) for row in (self._runs if of_run else self._rows)]
        made = pa.array(values, TEXT if wanted.type == WORD else wanted.type)
        made = made.take(index) if of_run else made
        return made.dictionary_encode() if wanted.type == WORD else made
