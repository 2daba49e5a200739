"""Frames of what a store holds: ``sandbox.runs_df`` and its siblings, as tables of pyarrow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec

import pyarrow as pa

from sandbox.api.calls import Where, describe, options_of
from sandbox.interop.frames import Selection, table

P = ParamSpec("P")


@dataclass(frozen=True, kw_only=True)
class FrameCall(Selection, Where):
    """What :func:`runs_df` and its siblings take by name."""


def _frame(make: Callable[P, FrameCall], name: str, row: str) -> Callable[P, pa.Table]:
    def read(*args: P.args, **named: P.kwargs) -> pa.Table:
        call = options_of(make, *args, **named)
        with call.open(reading=True) as (_, store):
            return table(name, store, call)

    read.__name__ = read.__qualname__ = f"{name}_df"
    read.__doc__ = f"""Return a table with a row for each {row} of the runs that are selected.

    ``.to_pandas()`` and ``polars.from_arrow`` make data frames of it. ``docs/api.md`` lists the columns.

    Raises:
        InputError: A run, a sweep, a time or a column is none.
        StoreError: The store cannot be read.
    """
    return describe(read, FrameCall)


runs_df = _frame(FrameCall, "runs", "run")
events_df = _frame(FrameCall, "events", "event")
calls_df = _frame(FrameCall, "calls", "tool call")
effects_df = _frame(FrameCall, "effects", "effect of a call")
verdicts_df = _frame(FrameCall, "verdicts", "verdict of a monitor")
