"""The manifest of a pack: what was run, with what, and what every file must be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.trace.tables import RunRow

FORMAT = "agent-risk-sandbox/evidence"
VERSION = 1
MANIFEST, SIGNATURE, ROWS = "manifest.json", "manifest.sig", "runs.json"
_TOLD = (
    "id",
    "scenario",
    "family",
    "model",
    "isolation",
    "mode",
    "lang",
    "seed",
    "origin",
    "status",
    "task",
    "safety",
    "started",
    "ended",
    "events",
    "head",
    "scaffold",
)
_STARTED = (
    "scenario_sha256",
    "model_described",
    "limits",
    "bounds",
    "monitors",
    "rules",
    "escalation",
    "versions",
    "scaffold_sha256",
    "pseudonymised",
)


def run_entry(
    row: RunRow, start: Mapping[str, Any], containers: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what the manifest says of a run.

    Args:
        row: Its row.
        start: Data of its first event.
        containers: Data of its events ``container.open``.
    """
    told = {name: getattr(row, name) for name in _TOLD}
    told |= {name: start[name] for name in _STARTED if name in start}
    images = [
        {key: data[key] for key in ("backend", "version", "image") if key in data}
        for data in containers
    ]
    return {**told, "trace": trace_name(row.id), "containers": images}


def trace_name(run: str) -> str:
    """Return the name of a run's trace in a pack."""
    return f"traces/{run}.jsonl"


def manifest(
    runs: Sequence[Mapping[str, Any]], files: Mapping[str, tuple[str, int]], signer: str | None
) -> bytes:
    """Return a manifest's bytes; the same content gives the same bytes.

    Args:
        runs: What :func:`run_entry` said of each.
        files: Name → SHA-256 and size of every other file but the signature.
        signer: Fingerprint of the key that will sign it: a signature that was taken off is missed.
    """
    told = {
        "format": FORMAT,
        "version": VERSION,
        "signed_by": signer,
        "runs": sorted(runs, key=lambda run: str(run["id"])),
        "files": {name: {"sha256": found, "size": size} for name, (found, size) in files.items()},
    }
    return json.dumps(told, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"


def digest(data: bytes) -> tuple[str, int]:
    """Return SHA-256 and size."""
    return hashlib.sha256(data).hexdigest(), len(data)
