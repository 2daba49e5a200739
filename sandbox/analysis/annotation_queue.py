"""Queues of runs to be labelled by people: written as CSV or JSONL, and read back."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.enums import RunStatus
from sandbox.errors import InputError, Problem, nearest
from sandbox.scenario.localized_text import in_language
from sandbox.trace.annotations import PERSON, VALUES, checked
from sandbox.trace.labels import Label
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

TOLD = ("run", "scenario", "lang", "family", "description")
"""What a queue says of a run. Neither the model nor the outcome: they would sway who labels it."""
COLUMNS = (*TOLD, *VALUES, "note")
SUFFIXES = (".csv", ".jsonl")
_MOST = 64 * 1024 * 1024
"""Bytes of a file that is read back."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def chosen(rows: Iterable[RunRow], sample: int | None, seed: int) -> list[RunRow]:
    """Return finished runs in an order of chance, the same for the same seed, or a sample of them.

    Each run has its place by itself, so that a run which comes later moves no other.
    """
    done = [row for row in rows if row.status == RunStatus.FINISHED]
    order = sorted(done, key=lambda row: hashlib.sha256(f"{seed}/{row.id}".encode()).digest())
    return order if sample is None else order[:sample]


def entries(store: Store, rows: Iterable[RunRow]) -> Iterator[dict[str, str]]:
    """Yield what a queue holds of each run, its labels empty."""
    for row in rows:
        told = (row.id, row.scenario, row.lang, row.family, _description(store, row))
        yield dict.fromkeys(COLUMNS, "") | dict(zip(TOLD, told, strict=True))


def _description(store: Store, row: RunRow) -> str:
    """Return a run's title in its language, and how many calls it made."""
    first = next(iter(store.events(row.id)), None)
    title = json.loads(first.data).get("title") if first is not None else None
    named = in_language(title, row.lang) if isinstance(title, dict) and title else ""
    calls = (row.result or {}).get("tool_calls")
    return " · ".join(
        part for part in (str(named)[:200], f"{calls} calls" if calls is not None else "") if part
    )


def write(path: Path, queue: Iterable[Mapping[str, str]]) -> int:
    """Write a queue; return how many runs it holds.

    Raises:
        InputError: The file's name says no form, it is there already, or it cannot be written.
    """
    _form(path)
    count = 0
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            sheet = csv.DictWriter(file, COLUMNS)
            if path.suffix == ".csv":
                sheet.writeheader()
            for entry in queue:
                count += 1
                if path.suffix == ".csv":
                    sheet.writerow({key: _cell(value) for key, value in entry.items()})
                else:
                    file.write(json.dumps(entry) + "\n")
    except FileExistsError as error:
        raise InputError(f"{path} is there already: labels in it would be lost") from error
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}") from error
    return count


def _cell(value: str) -> str:
    """Return a text that no spreadsheet takes for a formula (CWE-1236)."""
    return f"'{value}" if value.startswith(_FORMULA) else value


def _form(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: a queue ends in {' or '.join(SUFFIXES)}")


@dataclass(frozen=True)
class Sheet:
    """A queue that was read back."""

    labels: tuple[Label, ...]
    blank: int
    """Runs without any label."""


def read(path: Path, by: str, known: frozenset[str]) -> Sheet:
    """Read a queue back.

    Args:
        path: The file.
        by: Who labelled the runs.
        known: Ids of all runs.

    Raises:
        InputError: With everything that is wrong in it, by line; nothing of it is to be used then.
    """
    _form(path)
    problems: list[str] = []
    labels: list[Label] = []
    seen: dict[str, int] = {}
    blank = 0
    for line, entry in _lines(path, problems):
        run = entry.get("run", "").strip()
        if run in seen:
            problem = f"run {run} stands in line {seen[run]} already"
            problems.append(str(Problem(str(path), line, problem)))
            continue
        seen[run] = line
        try:
            found = _labels(entry, by, known)
        except InputError as error:
            problems.append(str(Problem(str(path), line, str(error))))
            continue
        blank += not found
        labels += found
    if problems:
        raise InputError("\n".join(problems))
    return Sheet(tuple(labels), blank)


def _labels(entry: Mapping[str, str], by: str, known: frozenset[str]) -> list[Label]:
    run = entry.get("run", "").strip()
    if run not in known:
        raise InputError(f"no run {run!r}{nearest(run, known) if run else ''}")
    note = entry.get("note", "").strip()
    found = [
        Label(run, name, checked(name, entry[name]), PERSON, by, note=note)
        for name in VALUES
        if entry.get(name, "").strip()
    ]
    if note and not found:
        raise InputError("there is a note, but no label that it belongs to")
    return found


def _lines(path: Path, problems: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line and cells of each entry; what is none is added to the problems."""
    try:
        if path.stat().st_size > _MOST:
            raise InputError(f"{path}: more than {_MOST // 1024 // 1024} MiB are no queue")
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8: save it as “CSV UTF-8” ({error})") from error
    yield from (
        _sheet(path, text, problems) if path.suffix == ".csv" else _json(path, text, problems)
    )


def _sheet(path: Path, text: str, problems: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    head = text.partition("\n")[0]
    comma = max(",;\t", key=head.count)  # spreadsheets write semicolons where a comma is decimal
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=comma)
    columns: list[str] | None = None
    try:
        for cells in reader:
            if columns is None:
                columns = _columns(path, cells)
            elif len(cells) > len(columns) and any(cells[len(columns) :]):
                problem = f"{len(cells)} cells, but the first line names {len(columns)}"
                problems.append(str(Problem(str(path), reader.line_num, problem)))
            elif any(cell.strip() for cell in cells):
                yield reader.line_num, dict(zip(columns, cells, strict=False))
    except csv.Error as error:
        problems.append(str(Problem(str(path), reader.line_num, f"no CSV: {error}")))
    if columns is None:
        problems.append(str(Problem(str(path), 1, "the file is empty")))


def _columns(path: Path, cells: Sequence[str]) -> list[str]:
    columns = [cell.strip() for cell in cells]
    problem = next(
        (f"unknown column {c!r}{nearest(c, COLUMNS)}" for c in columns if c not in COLUMNS), ""
    )
    if "run" not in columns:
        problem = problem or "the column 'run' is missing"
    if len(set(columns)) < len(columns):
        problem = problem or "a column stands twice"
    if problem:
        raise InputError(str(Problem(str(path), 1, problem)))
    return columns


def _json(path: Path, text: str, problems: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield number, _entry(json.loads(line))
        except (ValueError, RecursionError, InputError) as error:
            problems.append(str(Problem(str(path), number, f"no entry of a queue: {error}")))


def _entry(data: Any) -> dict[str, str]:
    if not isinstance(data, dict):
        raise InputError("not a JSON object")
    for key, value in data.items():
        if key not in COLUMNS:
            raise InputError(f"unknown key {key!r}{nearest(key, COLUMNS)}")
        if not isinstance(value, (str, int, type(None))) or isinstance(value, bool):
            raise InputError(f"{key}: neither a text nor a number")
    return {key: "" if value is None else str(value) for key, value in data.items()}
