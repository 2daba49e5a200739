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
from sandbox.interop.importers import readers
from sandbox.interop.importers.agentdojo import AgentDojo
from sandbox.interop.importers.chat import Chat
from sandbox.interop.importers.imported_run import ImportedRun, Importer
from sandbox.interop.importers.inspect_log import InspectLog
from sandbox.interop.importers.trace import run_id, trace
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
    first = readers.head(path)
    for each in IMPORTERS:
        if each.recognises(path, first):
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
    for path in paths:
        try:
            if format_name == PACK or (format_name == "auto" and is_pack(path)):
                from sandbox.attestation.pack_reader import import_pack

                pack, entered, present = import_pack(store, path, key)
                report.labelled += pack.restored
                report.add(entered, len(present))
            else:
                runs = importer(path, format_name).read(path)
                for batch in _batches(runs, path, report):
                    _store(store, batch, path, corrected or {}, report)
                    progress(report, path)
        except InputError as error:
            report.problems.append(_problem(path, error))
        progress(report, path)
    return report


def _problem(path: Path, error: InputError) -> Problem:
    return Problem(str(path), 0, str(error).removeprefix(f"{path}: "))


def _batches(
    runs: Iterator[ImportedRun | Problem], path: Path, report: ImportReport
) -> Iterator[dict[str, ImportedRun]]:
    """Yield runs by id, as many at once as are worth a transaction; the file may break off."""
    batch: dict[str, ImportedRun] = {}
    size = 0
    try:
        for run in runs:
            if isinstance(run, Problem):
                report.problems.append(run)
            elif (key := run_id(run)) in batch:
                report.present += 1
            else:
                batch[key] = run
                size += sum(len(turn.text) for turn in run.messages)
            if len(batch) >= _RUNS or size >= _PACKED_BYTES:
                yield batch
                batch, size = {}, 0
    except InputError as error:
        report.problems.append(_problem(path, error))
    if batch:
        yield batch


def _store(
    store: Store,
    batch: dict[str, ImportedRun],
    path: Path,
    corrected: dict[str, str],
    report: ImportReport,
) -> None:
    """Store runs in one transaction, then their labels."""
    present = {
        row[0] for row in store.select(select(RunRow.id).where(col(RunRow.id).in_(list(batch))))
    }
    now, traces = time.time(), []
    for key, run in batch.items():
        if key not in present:
            try:
                traces.append(trace(run, now, store.holds_blob))
            except (InputError, ValueError, RecursionError) as error:
                report.problems.append(Problem(str(path), run.line, str(error)))
    blobs = {sha256: blob for each in traces for sha256, blob in each.blobs.items()}
    events = [event for each in traces for event in each.events]
    store.enter([each.row for each in traces], events, list(blobs.values()))
    entered = [each.row.id for each in traces]
    report.add(entered, len(present))
    labels, stored = Labels(store), {*present, *entered}
    values = {(x.run, x.name, x.source): x.value for x in labels.of_runs(stored)}
    # Only labels that are not there yet: importing again changes nothing.
    report.labelled += labels.add(
        label
        for key in stored
        for label in _labels(key, batch[key], corrected)
        if values.get((label.run, label.name, label.source)) != label.value
    )


def _labels(key: str, run: ImportedRun, corrected: dict[str, str]) -> Iterator[Label]:
    for name, value in run.labels.items():
        yield Label(key, name, value, "published")
    if run.path in corrected:
        yield Label(key, "outcome", corrected[run.path], "corrected")
