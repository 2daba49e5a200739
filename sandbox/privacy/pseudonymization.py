"""Runs with pseudonyms in place of personal data, in a store of their own from which they are exported.

Every format then says the same, and none can forget a field. The copies are chained anew, so that they can be
proved as they are; each first event names the head of the original's chain, by which whoever has the
original can show which run it was. The copy of the store is removed with the export.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from sandbox.enums import EventKind, RunStatus
from sandbox.errors import InputError
from sandbox.privacy.pseudonyms import Pseudonymiser
from sandbox.scenario.validation import JsonObject
from sandbox.trace import blobs, events
from sandbox.trace.blobs import Blob
from sandbox.trace.events import Event
from sandbox.trace.labels import Label, Labels
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from sandbox.trace.verify import result_digest

ORIGIN = "pseudonymised"
"""Stands as the origin of what was a run of our own."""
_NAMED = (
    "scenario",
    "family",
    "model",
    "isolation",
    "mode",
    "lang",
    "owner",
    "task",
    "safety",
    "purpose",
    "legal_basis",
    "scaffold",
)
"""Texts of a row that its first event repeats."""


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
    running = [row.id for row in rows if row.status == RunStatus.RUNNING]
    if running:
        raise InputError(
            f"the run {running[0]} is still going; runs that are over are pseudonymised"
        )
    with (
        tempfile.TemporaryDirectory(prefix="sandbox-pseudonyms-") as folder,
        Store(str(Path(folder) / "runs.db")) as copy,
    ):
        copies = []
        for done, row in enumerate(rows, 1):
            copies.append(_RunCopy(store, row, pseudonyms).write(copy))
            progress(done)
        Labels(copy).add(_labels(store, [row.id for row in rows], pseudonyms))
        yield copy, copies


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
        value, note = pseudonyms.text(label.value), pseudonyms.text(label.note)
        yield replace(label, by=by, value=value, note=note)


class _RunCopy:
    """The copy of one run."""

    def __init__(self, store: Store, row: RunRow, pseudonyms: Pseudonymiser) -> None:
        self._store = store
        self._row = row
        self._pseudonyms = pseudonyms
        self._blobs: dict[str, Blob] = {}
        self._result: JsonObject | None = pseudonyms.data(row.result)
        self._origin = row.origin

    def write(self, copy: Store) -> RunRow:
        """Store the copy; return its row."""
        chain: list[Event] = []
        for item in self._store.events(self._row.id):
            text = blobs.as_text(self._replaced(item), self._keep)
            # A purged run's only event follows the chain that was removed, in the copy too.
            previous = chain[-1].hash if chain else item.previous
            agent = self._pseudonyms.text(item.agent)
            chain.append(events.make(item.run, item.seq, item.at, item.kind, agent, text, previous))
        row = self._replaced_row(chain[-1].hash if chain else "")
        copy.enter([row], chain, list(self._blobs.values()))
        return row

    def _keep(self, raw: bytes, sha256: str) -> None:
        if sha256 not in self._blobs:
            self._blobs[sha256] = Blob.of(raw, sha256)

    def _replaced(self, item: Event) -> JsonObject:
        data: JsonObject = self._pseudonyms.data(_with_texts(self._store.content(item)))
        _pack_texts(data)
        if item.kind == EventKind.RUN_START:
            self._origin = data["origin"] = self._row.origin or ORIGIN
            data["pseudonymised"] = {"head": self._row.head, "events": self._row.events}
            # runs of older versions leave it to be guessed from the origin, which the copy changes
            data.setdefault("scaffold", self._pseudonyms.text(self._row.scaffold))
        elif item.kind == "run.end" and self._result is not None:
            data["result_sha256"] = result_digest(self._result)
        return data

    def _replaced_row(self, head: str) -> RunRow:
        fields = self._row.model_dump()
        fields |= {name: self._pseudonyms.data(fields[name]) for name in _NAMED}
        if self._result is not None:
            fields["result"] = {**self._result, "head": head}
        ended = self._row.status in (RunStatus.FINISHED, RunStatus.PURGED) or self._row.head
        return RunRow(**{**fields, "head": head if ended else "", "origin": self._origin})


class _World(TypedDict, total=False):
    """The definition in a first event."""

    files: dict[str, str]
    """In base64."""
    _texts: dict[str, str]
    """Files that are texts, as they read."""


def _with_texts(data: JsonObject) -> JsonObject:
    """Return an event's data with the files of its world as texts: they stand there in base64."""
    world = _world(data)
    if world is None:
        return data
    texts = {name: text for name, each in world["files"].items() if (text := _text(each))}
    files = {name: each for name, each in world["files"].items() if name not in texts}
    return {**data, "scenario_text": json.dumps({**world, "files": files, "_texts": texts})}


def _pack_texts(data: JsonObject) -> None:
    world = _world(data)
    if world is not None:
        texts = world.pop("_texts", {}).items()
        world["files"] |= {name: base64.b64encode(text.encode()).decode() for name, text in texts}
        data["scenario_text"] = json.dumps(world)


def _world(data: JsonObject) -> _World | None:
    """Return the definition in a first event; None in others."""
    try:
        world: _World = json.loads(str(data.get("scenario_text")))
        return world if isinstance(world["files"], dict) else None
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def _text(packed: str) -> str | None:
    """Return the text of a file; None if it is none."""
    try:
        return base64.b64decode(packed, validate=True).decode("utf-8")
    except (TypeError, ValueError):
        return None
