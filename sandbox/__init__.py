"""Agent risk sandbox: LLM agents in isolated containers, watched at every call, on the record.

What is named here is the public interface for scripts and notebooks; content imports :mod:`sandbox.sdk`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.errors import SandboxError
    from sandbox.runs.run import run
    from sandbox.runs.run_plan import RunPlan, RunResult
    from sandbox.scenario.content_paths import Content
    from sandbox.scenario.loader import Loader
    from sandbox.trace.store import Store
    from sandbox.trace.verify import verify

_HOMES = {
    "Content": "sandbox.scenario.content_paths",
    "Loader": "sandbox.scenario.loader",
    "RunPlan": "sandbox.runs.run_plan",
    "RunResult": "sandbox.runs.run_plan",
    "SandboxError": "sandbox.errors",
    "Store": "sandbox.trace.store",
    "run": "sandbox.runs.run",
    "verify": "sandbox.trace.verify",
}

__all__ = ["Content", "Loader", "RunPlan", "RunResult", "SandboxError", "Store", "run", "verify"]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: the command line starts without any of them."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'sandbox' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
