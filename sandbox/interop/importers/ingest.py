"""Putting imported runs into a store: many in one transaction, none twice, bad records reported."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sqlmodel import col, select

from sandbox.attestation.pack_layout import is_pack
from sandbox.errors import InputError, Problem, nearest
from sandbox.interop.importers.agentdojo import AgentDojo
from sandbox.interop.importers.chat import Chat
from sandbox.interop.importers.imported_run import ImportedRun, Importer
from sandbox.interop.importers.inspect_log import InspectLog
from sandbox.interop.importers.trace import ImportedTrace, run_id, trace
from sandbox.trace.blobs import Blob
from sandbox.trace.labels import Label, Labels
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

if TYPE_CHECKING:
    from securesystemslib.signer import SSlibKey

IMPORTERS: tuple[Importer, ...] = (AgentDojo(), InspectLog(), Chat())
"""In the order in which they are asked whether a file is theirs."""
PACK = "pack"
_RUNS = 200  # of one transaction
_PACKED_BYTES = 16 * 1024 * 1024
_ENDINGS = (".json", ".jsonl", ".eval", ".json.gz", ".jsonl.gz", ".ndjson", ".pack.zip")


@dataclass
class ImportReport:
    """What became of an import."""

    entered: int = 0
    present: int = 0
    """Runs that were in the store already."""
    labelled: int = 0
    """Labels that were set."""
    problems: list[Problem] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    """Ids of the runs that were entered."""

    def add(self, runs: list[str], present: int) -> None:
        """Add runs that were entered, and a number of those that were there already."""
        self.entered += len(runs)
        self.runs += runs
        self.present += present


def files(paths: Sequence[Path]) -> list[Path]:
    """Return the files that are meant: those named, and all of the kinds known below folders.

    Raises:
        InputError: There is no such file, or a folder holds none.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: there is no such file")
        inside = [path]
        if path.is_dir():
            inside = [
                p for p in sorted(path.rglob("*")) if p.name.endswith(_ENDINGS) and p.is_file()
            ]
        if not inside:
            raise InputError(f"{path}: holds no {', '.join(_ENDINGS)} file")
        found |= dict.fromkeys(inside)
    return list(found)


def importer(path: Path, name: str = "auto") -> Importer:
    """Return the importer for a file.

    Raises:
        InputError: There is no format of this name, or the file is of none.
    """
    by_name = {each.name: each for each in IMPORTERS}
    if name != "auto":
        if name not in by_name:
            raise InputError(f"unknown format {name!r}{nearest(name, ['auto', PACK, *by_name])}")
        return by_name[name]
    for each in IMPORTERS:
        if each.recognises(path):
            return each
    names = ", ".join([*by_name, PACK])
    raise InputError(f"{path}: of no known format ({names}); say which with --format")


def read_labels(path: Path) -> dict[str, str]:
    """Return record path → class from a CSV file with the columns ``path`` and ``class``.

    Raises:
        InputError: It cannot be read, or has not these columns.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            columns = set(reader.fieldnames or ())
            if not columns >= {"path", "class"}:
                raise InputError(f"{path}:1: needs the columns path and class")
            return {row["path"]: row["class"] for row in reader if row["path"] and row["class"]}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def enter(
    store: Store,
    paths: Iterable[Path],
    *,
    format_name: str = "auto",
    corrected: dict[str, str] | None = None,
    key: SSlibKey | None = None,
    progress: Callable[[ImportReport, Path], None] = lambda report, path: None,
) -> ImportReport:
    """Import files into a store.

    Args:
        store: Where to.
        paths: The files.
        format_name: Name of an importer, ``pack`` for evidence packs, or ``auto``.
        key: The key that must have signed the evidence packs among them.
        corrected: Record path → outcome, entered as labels of the source ``corrected``.
        progress: Called after every transaction.

    Raises:
        StoreError: The store cannot be written; what was reported is in it.
    """
    report = ImportReport()
    batch = _Batch(store, corrected or {}, report)
    for path in paths:
        try:
            if format_name == PACK or (format_name == "auto" and is_pack(path)):
                from sandbox.attestation.pack_reader import import_pack

                pack, entered, present = import_pack(store, path, key)
                report.labelled += pack.restored
                report.add(entered, len(present))
                progress(report, path)
                continue
            for run in importer(path, format_name).read(path):
                if isinstance(run, Problem):
                    report.problems.append(run)
                elif batch.add(run, path):
                    progress(report, path)
        except InputError as error:
            report.problems.append(Problem(str(path), 0, str(error).removeprefix(f"{path}: ")))
        batch.flush()
        progress(report, path)
    return report


class _Batch:
    """Gathers runs until they are worth a transaction."""

    def __init__(self, store: Store, corrected: dict[str, str], report: ImportReport) -> None:
        self._store = store
        self._labels = Labels(store)
        self._corrected = corrected
        self._report = report
        self._now = time.time()
        self._runs: dict[str, tuple[ImportedRun, Path]] = {}
        self._bytes = 0

    def add(self, run: ImportedRun, path: Path) -> bool:
        """Take a run; return whether a transaction was made."""
        key = run_id(run)
        if key in self._runs:
            self._report.present += 1
            return False
        self._runs[key] = run, path
        self._bytes += sum(len(turn.text) for turn in run.turns)
        if len(self._runs) < _RUNS and self._bytes < _PACKED_BYTES:
            return False
        self.flush()
        return True

    def flush(self) -> None:
        """Store what was gathered."""
        if not self._runs:
            return
        query = select(RunRow.id).where(col(RunRow.id).in_(list(self._runs)))
        present = {row[0] for row in self._store.select(query)}
        traces = list(self._traces(present))
        blobs: dict[str, Blob] = {}
        for each in traces:
            blobs |= each.blobs
        self._store.enter(
            [each.row for each in traces],
            [event for each in traces for event in each.events],
            list(blobs.values()),
        )
        entered = [each.row.id for each in traces]
        self._report.add(entered, len(present))
        self._report.labelled += self._labels.add(self._new_labels(present.union(entered)))
        self._runs.clear()
        self._bytes = 0

    def _traces(self, present: set[str]) -> Iterator[ImportedTrace]:
        for key, (run, path) in self._runs.items():
            if key not in present:
                try:
                    yield trace(run, self._now, self._store.holds_blob)
                except (InputError, ValueError, RecursionError) as error:
                    self._report.problems.append(Problem(str(path), run.line, str(error)))

    def _new_labels(self, runs: set[str]) -> list[Label]:
        """Return the labels that are not there yet: importing again changes nothing."""
        stored = self._labels.of_runs(runs)
        values = {(label.run, label.name, label.source): label.value for label in stored}
        labels = [
            Label(key, name, value, source)
            for key in runs
            for name, value, source in self._labels_of(self._runs[key][0])
        ]
        return [x for x in labels if values.get((x.run, x.name, x.source)) != x.value]

    def _labels_of(self, run: ImportedRun) -> Iterator[tuple[str, str, str]]:
        """Yield name, value and source of a run's labels."""
        for name, value in run.labels.items():
            yield name, value, "published"
        if run.path in self._corrected:
            yield "outcome", self._corrected[run.path], "corrected"
