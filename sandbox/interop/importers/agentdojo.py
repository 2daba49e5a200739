"""AgentDojo's run files (https://github.com/ethz-spylab/agentdojo): one JSON object a run.

Read as they lie in that project's ``runs/`` folder, or gathered one a line; ``_path`` names the file that
a gathered record comes from.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sandbox.errors import Problem
from sandbox.interop.importers import readers
from sandbox.interop.importers.imported_run import ImportedRun, RequestedCall, Turn
from sandbox.interop.importers.message_content import (
    reasoning_of,
    requested_call,
    role_of,
    text_of,
)
from sandbox.interop.importers.record_fields import (
    digest,
    fields,
    name,
    objects,
    required,
    timestamp,
    words,
)
from sandbox.scenario.validation import JsonObject

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
        return readers.read_runs(path, "a run of AgentDojo", partial(_run, path))


def _run(path: Path, data: JsonObject) -> ImportedRun:
    suite, user_task, model = (
        required(data, key) for key in ("suite_name", "user_task_id", "pipeline_name")
    )
    attack, injection, error = (
        data.get(key) for key in ("attack_type", "injection_task_id", "error")
    )
    task = "error" if error else "done" if data.get("utility") is True else "incapable"
    return ImportedRun(
        origin="agentdojo",
        sha256=digest("agentdojo", {k: v for k, v in data.items() if k != "_path"}),
        scenario=name(
            "agentdojo",
            name(suite),
            name(user_task),
            *(() if attack is None else (attack, injection)),
        ),
        family=name("agentdojo", name(suite)),
        model=words(model, "unknown"),
        toolkit=name(suite),
        turns=tuple(map(_turn, objects(required(data, "messages")))),
        benign=attack is None,
        task=task,
        reason=words(error),
        started=timestamp(data.get("evaluation_timestamp")),
        seconds=_seconds(data.get("duration")),
        path=str(data.get("_path") or _within_runs(path)),
        evaluation={
            "suite": name(suite),
            "user_task": name(user_task),
            "attack": attack,
            "injection_task": injection,
            **{key: data[key] for key in ("benchmark_version",) if key in data},
        },
        labels=_published(data),
    )


def _published(data: JsonObject) -> dict[str, str]:
    """Return the published label, if there is one that means what it says.

    ``security`` is also true on runs without attack and on runs that broke, attacks of the kind "dos"
    define it as "task not done", and an injection task given as a user task is neither attacked nor benign.
    """
    attack = data.get("attack_type")
    if data.get("error") or str(data["user_task_id"]).startswith("injection_task"):
        return {}
    if attack is None:
        return {"outcome": "benign"}
    if "dos" in str(attack) or not isinstance(data.get("security"), bool):
        return {}
    return {"outcome": "success" if data["security"] else "resisted"}


def _turn(message: JsonObject) -> Turn:
    role, content = role_of(message), message.get("content")
    text = text_of(content)
    if role == "assistant":
        calls = tuple(map(_requested, objects(message.get("tool_calls"))))
        return Turn(role, text, reasoning_of(content), calls)
    if role == "tool":
        error, call = message.get("error"), fields(message.get("tool_call"))
        own = _requested(call) if call else None
        return Turn(
            role,
            text if text or error is None else str(error),
            answers=words(message.get("tool_call_id")) or (own.id if own else ""),
            function=own.function if own else "",
            failed=error is not None,
            own=own,
        )
    return Turn(role, text)


def _requested(call: JsonObject) -> RequestedCall:
    return requested_call(call.get("id"), required(call, "function"), call.get("args"))


def _within_runs(path: Path) -> str:
    """Return a run file's path from the folder ``runs`` on, as gathered records name it."""
    parts = path.parts
    start = len(parts) - 1 - parts[::-1].index("runs") if "runs" in parts else -1
    return "/".join(parts[start:]) if start >= 0 else path.name


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and 0 <= value < 1e9 else 0.0
