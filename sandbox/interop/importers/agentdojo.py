"""AgentDojo's run files (https://github.com/ethz-spylab/agentdojo): one JSON object a run.

Read as they lie in that project's ``runs/`` folder, or gathered one a line; ``_path`` names the file that
a gathered record comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.errors import Problem
from sandbox.interop.importers import readers
from sandbox.interop.importers.imported_run import Asked, ImportedRun, Turn

_FIELDS = frozenset({"suite_name", "pipeline_name", "user_task_id", "messages"})


class AgentDojo:
    """See :class:`sandbox.interop.importers.imported_run.Importer`."""

    name = "agentdojo"

    def recognises(self, path: Path) -> bool:
        """Return whether the file's first object has what every run of AgentDojo has."""
        first = readers.head(path)
        return first is not None and first.keys() >= _FIELDS

    def read(self, path: Path) -> Iterator[ImportedRun | Problem]:
        """Yield the runs of a file."""
        for record in readers.records(path):
            if isinstance(record, Problem):
                yield record
                continue
            try:
                yield replace(_run(record.data, path), line=record.line)
            except readers.UNUSABLE as error:
                yield Problem(str(path), record.line, f"not a run of AgentDojo: {_reason(error)}")


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _run(data: dict[str, Any], path: Path) -> ImportedRun:
    suite, user_task = readers.name(data["suite_name"]), readers.name(data["user_task_id"])
    attack, injection = data.get("attack_type"), data.get("injection_task_id")
    error = data.get("error")
    attacked = () if attack is None else (attack, injection)
    turns = tuple(_turn(message) for message in data["messages"])
    if not turns:
        raise ValueError("it has no messages")
    task = "error" if error else "done" if data.get("utility") is True else "incapable"
    return ImportedRun(
        origin="agentdojo",
        sha256=readers.digest("agentdojo", {k: v for k, v in data.items() if k != "_path"}),
        scenario=readers.name("agentdojo", suite, user_task, *attacked),
        family=readers.name("agentdojo", suite),
        model=readers.words(data["pipeline_name"], "unknown"),
        toolkit=suite,
        turns=turns,
        benign=attack is None,
        task=task,
        reason=readers.words(error),
        started=_time(data.get("evaluation_timestamp")),
        seconds=_seconds(data.get("duration")),
        path=str(data.get("_path") or _within_runs(path)),
        evaluation={
            "suite": suite,
            "user_task": user_task,
            "attack": attack,
            "injection_task": injection,
            **{k: data[k] for k in ("benchmark_version",) if k in data},
        },
        labels=_published(data),
    )


def _published(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the published label, where there is one that means what it says.

    ``security`` is also true on runs without attack and on runs that broke, attacks of the kind "dos"
    define it as "task not done", and an injection task given as a user task is neither attacked nor benign.
    """
    if data.get("error") or str(data["user_task_id"]).startswith("injection_task"):
        return {}
    attack = data.get("attack_type")
    if attack is None:
        return {"outcome": "benign"}
    if "dos" in str(attack) or not isinstance(data.get("security"), bool):
        return {}
    return {"outcome": "success" if data["security"] else "resisted"}


def _turn(message: Mapping[str, Any]) -> Turn:
    role, content = message["role"], message.get("content")
    text = readers.text_of(content)
    if role == "assistant":
        calls = tuple(_asked(call) for call in message.get("tool_calls") or ())
        return Turn("assistant", text, readers.reasoning_of(content), calls)
    if role == "tool":
        error, call = message.get("error"), message.get("tool_call")
        own = _asked(call) if call else None
        return Turn(
            "tool",
            text if text or error is None else str(error),
            answers=readers.words(message.get("tool_call_id")) or (own.id if own else ""),
            function=own.function if own else "",
            failed=error is not None,
            own=own,
        )
    if role not in ("system", "user", "developer"):
        raise ValueError(f"there is no role {role!r}")
    return Turn("user" if role == "user" else "system", text)


def _asked(call: Mapping[str, Any]) -> Asked:
    return readers.asked(call.get("id"), call["function"], call.get("args"))


def _within_runs(path: Path) -> str:
    """Return a run file's path from the folder ``runs`` on, as gathered records name it."""
    parts = path.parts
    start = len(parts) - 1 - parts[::-1].index("runs") if "runs" in parts else -1
    return "/".join(parts[start:]) if start >= 0 else path.name


def _time(stamp: Any) -> float | None:
    try:
        found = datetime.fromisoformat(str(stamp))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and 0 <= value < 1e9 else 0.0
