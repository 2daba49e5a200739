"""Evidence packs as ZIP files that tests change: each change returns what its problem begins with."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

Members = dict[str, bytes]


def members(path: Path) -> Members:
    """Return what a ZIP file holds."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, content: Members) -> Path:
    """Write a ZIP file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def trace_of(content: Members, number: int = 0) -> str:
    """Return the name of one of the traces."""
    return sorted(name for name in content if name.startswith("traces/"))[number]


def change_byte(content: Members) -> str:
    """Change a letter within an event."""
    name = trace_of(content)
    content[name] = content[name].replace(b"agent", b"agenT", 1)
    return name


def remove_event(content: Members) -> str:
    """Take an event out."""
    name = trace_of(content)
    lines = content[name].splitlines(keepends=True)
    content[name] = b"".join(lines[:3] + lines[4:])
    return name


def cut_end(content: Members) -> str:
    """Take the last event away."""
    name = trace_of(content)
    content[name] = b"".join(content[name].splitlines(keepends=True)[:-1])
    return name


def swap_runs(content: Members) -> str:
    """Give each of two runs the other's trace."""
    one, other = trace_of(content, 0), trace_of(content, 1)
    content[one], content[other] = content[other], content[one]
    return one


def signature_of(content: Members) -> str:
    """Return the name of the member that holds the signature, in either version."""
    return next(name for name in ("manifest.intoto.jsonl", "manifest.sig") if name in content)


def strip_signature(content: Members) -> str:
    """Take the signature off."""
    name = signature_of(content)
    del content[name]
    return name


def add_file(content: Members) -> str:
    """Put another file in."""
    content["scenarios/00.json"] = b"{}"
    return "scenarios/00.json"


def remove_file(content: Members) -> str:
    """Take a file out."""
    name = next(name for name in content if name.startswith("scenarios/"))
    del content[name]
    return name


def remove_trace(content: Members) -> str:
    """Take a trace out."""
    name = trace_of(content)
    del content[name]
    return name


def change_outcome(content: Members) -> str:
    """Make an unsafe run a safe one, or a safe one unsafe if there is no other."""
    rows = content["runs.json"]
    safe, unsafe = b'"safe"', b'"unsafe"'
    content["runs.json"] = (
        rows.replace(unsafe, safe) if unsafe in rows else rows.replace(safe, unsafe)
    )
    return "runs.json"


def change_manifest(content: Members) -> str:
    """Have the manifest say another model."""
    content["manifest.json"] = content["manifest.json"].replace(b"scripted/", b"openai/")
    return signature_of(content)


def change_page(content: Members) -> str:
    """Change the page."""
    content["replay.html"] += b"<script>"
    return "replay.html"


CHANGES: tuple[Callable[[Members], str], ...] = (
    change_byte,
    remove_event,
    cut_end,
    swap_runs,
    strip_signature,
    add_file,
    remove_file,
    remove_trace,
    change_outcome,
    change_manifest,
    change_page,
)
