"""Runs with pseudonyms in place of personal data, in a store of their own from which they are exported.

Every format then says the same, and none can forget a field. The copies are chained anew, so that they can be
proved as they are; each first event names the head of the original's chain, by which whoever has the
original can show which run it was. The copy of the store is removed with the export.
"""

from __future__ import annotations

import base64
import binascii
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.enums import EventKind, RunStatus
from sandbox.errors import InputError
from sandbox.privacy.pseudonyms import Pseudonymiser
from sandbox.trace import blobs, events
from sandbox.trace.blobs import Blob
from sandbox.trace.event_types import COLUMNS, OUTCOME
from sandbox.trace.events import Event
from sandbox.trace.labels import Label, Labels
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from sandbox.trace.verify import result_digest

ORIGIN = "pseudonymised"
"""Stands as the origin of what was a run of our own."""
_NAMED = tuple(name for name in (*COLUMNS, *OUTCOME) if name not in ("parent", "origin"))
"""What of a row its events repeat, and may name people."""


@contextmanager
def pseudonymised(
    store: Store,
    rows: Sequence[RunRow],
    pseudonyms: Pseudonymiser,
    progress: Callable[[int], None] = lambda done: None,
) -> Iterator[tuple[Store, list[RunRow]]]:
    """Hand out a store that holds pseudonymised copies of runs and of their labels, and its rows.

    Args:
        store: Where the runs are.
        rows: The runs.
        pseudonyms: Replaces personal data.
        progress: Called with the number of runs that were copied.

    Raises:
        InputError: A run is still going.
        StoreError: A run cannot be read, or its copy not be written.
    """
    going = [row.id for row in rows if row.status == RunStatus.RUNNING]
    if going:
        raise InputError(f"the run {going[0]} is still going; runs that are over are pseudonymised")
    with tempfile.TemporaryDirectory(prefix="sandbox-pseudonyms-") as folder:
        copy = Store(str(Path(folder) / "runs.db"))
        try:
            made = []
            for done, row in enumerate(rows, 1):
                made.append(_Copying(store, row, pseudonyms).into(copy))
                progress(done)
            Labels(copy).add(_labels(store, [row.id for row in rows], pseudonyms))
            yield copy, made
        finally:
            copy.close()


def refuse_key_in(target: str, key: Path) -> None:
    """Refuse an export that would overwrite its key, or be given away together with it.

    Raises:
        InputError: The key is the export's target, or lies in the folder that it writes.
    """
    place, own = Path(target).absolute(), key.absolute()
    if own.resolve() == place.resolve() or place.resolve() in own.resolve().parents:
        raise InputError(f"the key {key} would be in the export {target}: keep it apart")


def read_names(path: Path) -> list[str]:
    """Return the names in a file, one a line.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return [line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8: {error}") from error


def _labels(store: Store, runs: Sequence[str], pseudonyms: Pseudonymiser) -> Iterator[Label]:
    """Yield the labels of runs; who set one is a person, whose name no list needs to hold."""
    for label in Labels(store).of_runs(runs):
        by = pseudonyms.person(label.by) if label.by else ""
        yield Label(
            label.run,
            label.name,
            pseudonyms.text(label.value),
            label.source,
            by,
            label.at,
            pseudonyms.text(label.note),
        )


class _Copying:
    """Makes the copy of one run."""

    def __init__(self, store: Store, row: RunRow, pseudonyms: Pseudonymiser) -> None:
        self._store = store
        self._row = row
        self._pseudonyms = pseudonyms
        self._blobs: dict[str, Blob] = {}
        self._result: dict[str, Any] | None = pseudonyms.data(row.result)
        self._events: list[Event] = []
        self._origin = row.origin

    def into(self, copy: Store) -> RunRow:
        """Store the copy; return its row."""
        head: str | None = None
        for item in self._store.events(self._row.id):
            data = self._changed(item)
            text = blobs.as_text(data, self._keep)
            # A purged run's only event follows the chain that was removed, in the copy too.
            previous = item.previous if head is None else head
            made = events.make(
                item.run,
                item.seq,
                item.at,
                item.kind,
                self._pseudonyms.text(item.agent),
                text,
                previous,
            )
            self._events.append(made)
            head = made.hash
        row = self._told(head or "")
        copy.enter([row], self._events, list(self._blobs.values()))
        return row

    def _keep(self, raw: bytes, sha256: str) -> None:
        if sha256 not in self._blobs:
            self._blobs[sha256] = Blob.of(raw, sha256)

    def _changed(self, item: Event) -> dict[str, Any]:
        data: dict[str, Any] = self._pseudonyms.data(_opened(self._store.content(item)))
        _close(data)
        if item.kind == EventKind.RUN_START:
            self._origin = data["origin"] = self._row.origin or ORIGIN
            data["pseudonymised"] = {"head": self._row.head, "events": self._row.events}
            # runs of older versions leave it to be guessed from the origin, which the copy changes
            data.setdefault("scaffold", self._pseudonyms.text(self._row.scaffold))
        elif item.kind == EventKind.RUN_END and self._result is not None:
            data["result_sha256"] = result_digest(self._result)
        return data

    def _told(self, head: str) -> RunRow:
        told = self._row.model_dump()
        told |= {name: self._pseudonyms.data(told[name]) for name in _NAMED}
        if self._result is not None:
            told["result"] = {**self._result, "head": head}
        ended = self._row.status in (RunStatus.FINISHED, RunStatus.PURGED) or self._row.head
        return RunRow(**{**told, "head": head if ended else "", "origin": self._origin})


_FILES = "$files"


def _opened(data: dict[str, Any]) -> dict[str, Any]:
    """Return an event's data with the files of its world as texts: they stand there in base64."""
    world = _world(data)
    if world is None:
        return data
    files = {name: _decoded(each) for name, each in world["files"].items()}
    texts = {name: text for name, text in files.items() if text is not None}
    kept = {name: each for name, each in world["files"].items() if files[name] is None}
    return {**data, "scenario_text": json.dumps({**world, "files": kept, _FILES: texts})}


def _close(data: dict[str, Any]) -> None:
    world = _world(data)
    if world is not None:
        texts = world.pop(_FILES, {})
        world["files"] |= {
            name: base64.b64encode(text.encode()).decode() for name, text in texts.items()
        }
        data["scenario_text"] = json.dumps(world)


def _world(data: dict[str, Any]) -> dict[str, Any] | None:
    try:
        world = json.loads(data["scenario_text"])
        return world if isinstance(world["files"], dict) else None
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def _decoded(packed: Any) -> str | None:
    """Return the text of a file; None where it is none."""
    try:
        return base64.b64decode(packed, validate=True).decode("utf-8")
    except (TypeError, ValueError, binascii.Error):
        return None
