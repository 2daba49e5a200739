"""The members of an evidence pack, and how a pack is recognised."""

from __future__ import annotations

from pathlib import Path

from sandbox.attestation.archives import Archive
from sandbox.errors import InputError

MANIFEST, ENVELOPE, ROWS = "manifest.json", "manifest.intoto.jsonl", "runs.json"


def trace_name(run: str) -> str:
    """Return the name of a run's trace in a pack."""
    return f"traces/{run}.jsonl"


def is_pack(path: Path) -> bool:
    """Return whether a file is a ZIP file with a manifest of ours; it may be damaged all the same."""
    try:
        with Archive(path) as archive:
            return MANIFEST in archive.members and ROWS in archive.members
    except InputError:
        return False
