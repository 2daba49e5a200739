"""Logs of Inspect (https://inspect.aisi.org.uk): ``.eval``, version 2, written with the standard library.

A log is of one task; its samples are runs. A target that ends in ``.eval`` becomes one log of all runs, any
other a folder with one log for each family and model. Verdicts are sentinel events, which Inspect knows
from 0.3.280 on; what fits nowhere else is an info event of the source ``sandbox``.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from sandbox.attestation.archives import fixed_member
from sandbox.attestation.atomic_file import atomic_write
from sandbox.errors import InputError
from sandbox.interop.exporters.exporter import Progress
from sandbox.interop.exporters.inspect_sample import SampleSummary, sample, timestamp
from sandbox.interop.exporters.transcript import Transcript
from sandbox.scenario.validation import JsonObject
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow, driven

VERSION = 2
"""Of the log format."""
_UNSAFE_IN_NAMES = re.compile(r"[^\w.-]+")
_SCORES = {
    "task": ("done", "refused", "incapable", "limit", "error"),
    "safety": ("safe", "attempted", "unsafe"),
}
_PLAN = {
    "name": "plan",
    "steps": [{"solver": "sandbox", "params": {}, "params_passed": {}}],
    "config": {},
}


def export(store: Store, rows: Sequence[RunRow], target: str, progress: Progress) -> None:
    """Write runs as one log, or as a folder of logs."""
    path = Path(target)
    rows = sorted(rows, key=lambda row: (row.scenario, row.model, row.started, row.id))
    if path.suffix == ".eval":
        _log(store, rows, path, progress, 0)
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be made: {error.strerror or error}") from error
    groups: dict[tuple[str, str], list[RunRow]] = defaultdict(list)
    for row in rows:
        groups[row.family, row.model].append(row)
    done = 0
    for (family, model), members in sorted(groups.items()):
        started = timestamp(min(row.started for row in members)).replace(":", "-")
        name = _UNSAFE_IN_NAMES.sub("-", f"{family}-{model}")[:120]
        key = hashlib.sha256(f"{family}\0{model}".encode()).hexdigest()[:8]
        _log(store, members, path / f"{started[:19]}_{name}_{key}.eval", progress, done)
        done += len(members)


def _log(store: Store, rows: Sequence[RunRow], path: Path, progress: Progress, before: int) -> None:
    samples = list(_numbered(rows))
    start = {"version": VERSION, "eval": _spec(rows, samples), "plan": _PLAN}
    summaries: list[SampleSummary] = []
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        _put(archive, "_journal/start.json", start)
        for done, (row, key, epoch) in enumerate(samples, 1):
            data, summary = sample(Transcript(store, row), key, epoch)
            _put(archive, f"samples/{key}_epoch_{epoch}.json", data)
            summaries.append(summary)
            progress(before + done)
        for name in ("_journal/summaries/1.json", "summaries.json"):
            _put(archive, name, [summary.data for summary in summaries])
        _put(archive, "header.json", {**start, **_end(rows, summaries)})


def _numbered(rows: Sequence[RunRow]) -> Iterator[tuple[RunRow, str, int]]:
    """Yield each run with the id and the epoch of its sample, which together name it in the log."""
    subjects = {driven(row) for row in rows}
    seen: Counter[str] = Counter()
    for row in rows:
        key = row.scenario if row.lang == "en" else f"{row.scenario} [{row.lang}]"
        key = key if len(subjects) == 1 else f"{key} · {driven(row)}"
        seen[key] += 1
        yield row, key, seen[key]


def _spec(rows: Sequence[RunRow], samples: Sequence[tuple[RunRow, str, int]]) -> JsonObject:
    families, models = sorted({row.family for row in rows}), sorted({row.model for row in rows})
    keys = list(dict.fromkeys(key for _, key, _ in samples))
    heads = hashlib.sha256("".join(row.head for row in rows).encode()).hexdigest()
    task = families[0] if len(families) == 1 else "agent-risk-sandbox"
    return {
        "eval_id": heads[:22],
        "run_id": heads[22:44],
        "created": timestamp(min(row.started for row in rows)),
        "task": task,
        "task_id": hashlib.sha256(task.encode()).hexdigest()[:22],
        "task_version": 0,
        "task_attribs": {},
        "task_args": {},
        "task_args_passed": {},
        "dataset": {"name": task, "samples": len(keys), "sample_ids": keys, "shuffled": False},
        "model": models[0] if len(models) == 1 else "several",
        "model_generate_config": {},
        "model_args": {},
        "config": {"epochs": max(epoch for _, _, epoch in samples)},
        "packages": {"agent-risk-sandbox": version("agent-risk-sandbox")},
        "metadata": {"families": families, "models": models},
        "scorers": [{"name": name} for name in _SCORES],
    }


def _end(rows: Sequence[RunRow], summaries: Sequence[SampleSummary]) -> JsonObject:
    """Return what a header says beside its beginning."""
    usages: dict[str, Counter[str]] = defaultdict(Counter)
    for summary in summaries:
        for model, usage in summary.usage.items():
            usages[model].update(usage)
    return {
        "status": "success",
        "results": {
            "total_samples": len(summaries),
            "completed_samples": sum("error" not in summary.data for summary in summaries),
            "scores": [_score(name, summaries) for name in _SCORES],
        },
        "stats": {
            "started_at": timestamp(min(row.started for row in rows)),
            "completed_at": timestamp(max(row.ended or row.started for row in rows)),
            "model_usage": usages,
            "role_usage": {},
            "connection_limit_history": [],
        },
        "invalidated": False,
        "tags": [],
        "metadata": {},
    }


def _score(name: str, summaries: Sequence[SampleSummary]) -> JsonObject:
    """Return the rate of each outcome among the runs that were scored."""
    values = [summary.scores[name] for summary in summaries if name in summary.scores]
    rates = {value: values.count(value) / len(values) for value in _SCORES[name] if values}
    return {
        "name": name,
        "scorer": name,
        "scored_samples": len(values),
        "unscored_samples": len(summaries) - len(values),
        "params": {},
        "metrics": {
            value: {"name": value, "value": rate, "params": {}} for value, rate in rates.items()
        },
    }


def _put(archive: zipfile.ZipFile, name: str, data: object) -> None:
    archive.writestr(fixed_member(name), json.dumps(data, separators=(",", ":")))
