"""Agent risk sandbox: LLM agents in isolated containers, watched at every call, on the record.

What is named here is the public interface for scripts and notebooks; ``docs/api.md`` describes it. Content
imports ``sandbox.guest.toolkit`` (tools) and ``sandbox.monitors.monitor`` (monitors).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.api.frames import calls_df, effects_df, events_df, runs_df, verdicts_df
    from sandbox.api.results import Results
    from sandbox.api.running import run, run_async
    from sandbox.api.sweep_results import SweepResults
    from sandbox.api.sweeping import sweep, sweep_async
    from sandbox.api.workspace import Workspace
    from sandbox.errors import EnvironmentFault, InputError, SandboxError, StoreError
    from sandbox.runs.options import RunOptions
    from sandbox.runs.run_plan import RunResult
    from sandbox.trace.store import Store
    from sandbox.trace.verify import verify

__all__ = [
    "EnvironmentFault",
    "InputError",
    "Results",
    "RunOptions",
    "RunResult",
    "SandboxError",
    "Store",
    "StoreError",
    "SweepResults",
    "Workspace",
    "calls_df",
    "effects_df",
    "events_df",
    "run",
    "run_async",
    "runs_df",
    "sweep",
    "sweep_async",
    "verdicts_df",
    "verify",
]
_HOMES = {
    "sandbox.api.frames": ("calls_df", "effects_df", "events_df", "runs_df", "verdicts_df"),
    "sandbox.api.results": ("Results",),
    "sandbox.api.running": ("run", "run_async"),
    "sandbox.api.sweep_results": ("SweepResults",),
    "sandbox.api.sweeping": ("sweep", "sweep_async"),
    "sandbox.api.workspace": ("Workspace",),
    "sandbox.errors": ("EnvironmentFault", "InputError", "SandboxError", "StoreError"),
    "sandbox.runs.options": ("RunOptions",),
    "sandbox.runs.run_plan": ("RunResult",),
    "sandbox.trace.store": ("Store",),
    "sandbox.trace.verify": ("verify",),
}


if not TYPE_CHECKING:  # or type checkers would take every name for one

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used: the command line starts without any of them."""
        from importlib import import_module

        home = next((home for home, names in _HOMES.items() if name in names), None)
        if home is None:
            raise AttributeError(f"module 'sandbox' has no attribute {name!r}")
        return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
