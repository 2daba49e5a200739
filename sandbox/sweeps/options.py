"""The options with which a sweep is executed; like :mod:`sandbox.runs.options`, it imports next to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from sandbox.runs.options import Flag, WorkerOptions


@dataclass(frozen=True, kw_only=True)
class SweepOptions(WorkerOptions):
    """Where a sweep is executed, and what it may use."""

    cluster: Annotated[str | None, Flag(metavar="ADDRESS")] = None
    """Scheduler of a Dask cluster, such as tcp://HOST:8786."""
    budget: Annotated[Mapping[str, float], Flag(metavar="KEY=VALUE")] = field(default_factory=dict)
    """tokens, eur, kwh or seconds=NUMBER in place of the file's; repeatable."""
