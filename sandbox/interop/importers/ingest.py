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
from sandbox.interop.importers.trace import Trace, run_id, trace
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
class Report:
    """What became of an import."""

    entered: int = 0
    present: int = 0
    """Runs that were in the store already."""
    labelled: int = 0
    """Labels that were set."""
    problems: list[Problem] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    """Ids of the runs that were entered."""


def files(paths: Sequence[Path]) -> list[Path]:
    """Return the files that are meant: those named, and all of the kinds known below folders.

    Raises:
        InputError: There is no such file, or a folder holds none.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = [
                p for p in sorted(path.rglob("*")) if p.name.endswith(_ENDINGS) and p.is_file()
            ]
            if not inside:
                raise InputError(f"{path}: holds no {', '.join(_ENDINGS)} file")
            found.update(dict.fromkeys(inside))
        elif path.exists():
            found[path] = None
        else:
            raise InputError(f"{path}: there is no such file")
    return list(found)


def importer(path: Path, name: str = "auto") -> Importer:
    """Return the importer for a file.

    Raises:
        InputError: There is no format of this name, or the file is of none.
    """
    names = [each.name for each in IMPORTERS]
    if name != "auto":
        chosen = next((each for each in IMPORTERS if each.name == name), None)
        if chosen is None:
            raise InputError(f"unknown format {name!r}{nearest(name, ['auto', PACK, *names])}")
        return chosen
    for each in IMPORTERS:
        if each.recognises(path):
            return each
    raise InputError(
        f"{path}: of no known format ({', '.join([*names, PACK])}); say which with --format"
    )


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
    progress: Callable[[Report, Path], None] = lambda report, path: None,
) -> Report:
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
    report, entering = Report(), _Entering(store, corrected or {})
    for path in paths:
        try:
            if format_name == PACK or (format_name == "auto" and is_pack(path)):
                from sandbox.attestation.pack_reader import import_pack

                pack, entered, present = import_pack(store, path, key)
                report.labelled += pack.restored
                report.entered += len(entered)
                report.runs += entered
                report.present += len(present)
                progress(report, path)
                continue
            for found in importer(path, format_name).read(path):
                if isinstance(found, Problem):
                    report.problems.append(found)
                elif entering.add(found, path, report):
                    progress(report, path)
        except InputError as error:
            report.problems.append(Problem(str(path), 0, str(error).removeprefix(f"{path}: ")))
        entering.flush(report)
        progress(report, path)
    return report


class _Entering:
    """Gathers runs until they are worth a transaction."""

    def __init__(self, store: Store, corrected: dict[str, str]) -> None:
        self._store = store
        self._labels = Labels(store)
        self._corrected = corrected
        self._now = time.time()
        self._runs: dict[str, tuple[ImportedRun, Path]] = {}
        self._bytes = 0

    def add(self, run: ImportedRun, path: Path, report: Report) -> bool:
        """Take a run; return whether a transaction was made."""
        key = run_id(run)
        if key in self._runs:
            report.present += 1
            return False
        self._runs[key] = run, path
        self._bytes += sum(len(turn.text) for turn in run.turns)
        if len(self._runs) < _RUNS and self._bytes < _PACKED_BYTES:
            return False
        self.flush(report)
        return True

    def flush(self, report: Report) -> None:
        """Store what was gathered."""
        if not self._runs:
            return
        there = self._there()
        traces = list(self._traces(there, report))
        known: dict[str, Blob] = {}
        for each in traces:
            known.update(each.blobs)
        self._store.enter(
            [each.row for each in traces],
            [event for each in traces for event in each.events],
            list(known.values()),
        )
        report.entered += len(traces)
        report.runs += [each.row.id for each in traces]
        report.present += len(there)
        kept = there | {each.row.id for each in traces}
        report.labelled += self._labels.add(self._new(kept))
        self._runs.clear()
        self._bytes = 0

    def _there(self) -> set[str]:
        query = select(RunRow.id).where(col(RunRow.id).in_(list(self._runs)))
        return {row[0] for row in self._store.select(query)}

    def _traces(self, there: set[str], report: Report) -> Iterator[Trace]:
        for key, (run, path) in self._runs.items():
            if key not in there:
                try:
                    yield trace(run, self._now, self._store.holds_blob)
                except (InputError, ValueError, RecursionError) as error:
                    report.problems.append(Problem(str(path), run.line, str(error)))

    def _new(self, kept: set[str]) -> list[Label]:
        """Return the labels that are not there yet: importing again changes nothing."""
        said = list(self._said(kept))
        there = {
            (found.run, found.name, found.source): found.value
            for found in self._labels.of_runs(kept)
        }
        return [
            each for each in said if there.get((each.run, each.name, each.source)) != each.value
        ]

    def _said(self, kept: set[str]) -> Iterator[Label]:
        for key in kept:
            run = self._runs[key][0]
            for name, value in run.labels.items():
                yield Label(key, name, value, "published")
            if run.path in self._corrected:
                yield Label(key, "outcome", self._corrected[run.path], "corrected")
