"""Conducting a sweep: claimed, recovered after a death, executed, ended on the record."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from sandbox.errors import SandboxError, StoreError, TakenError, first, reason
from sandbox.runs.recovery import interrupt
from sandbox.sweeps.lease import BEAT_SECONDS, Claim
from sandbox.sweeps.log import log
from sandbox.sweeps.store import Sweeps
from sandbox.sweeps.sweep_state import Course
from sandbox.sweeps.tables import SweepRow
from sandbox.trace.store import Store


class Executor(Protocol):
    """What executes the items of a sweep: one machine, or a cluster."""

    async def execute(self, course: Course) -> None:
        """Execute all that is planned, as far as budgets go.

        Raises:
            SandboxError: It cannot go on.
        """


@contextmanager
def claim_sweep(store: Store, sweep: SweepRow) -> Iterator[Claim]:
    """Have a sweep's name to oneself, its items as they are after whatever happened before.

    Raises:
        TakenError: Another process executes a sweep of this name.
    """
    claim = Claim(store, sweep.name, sweep.id)
    try:
        recover(store, sweep.id)
        yield claim
    finally:
        with contextlib.suppress(StoreError):
            claim.release()


def recover(store: Store, sweep: str, reason: str = "the sweep was taken over") -> int:
    """Plan again every item whose run did not finish; return how many.

    Only for who has the sweep's claim and executes nothing of it: what is still running is orphaned.
    A run may be left so by a dead process, by a worker that is not waited for any more, or by a stop
    while its container was closed.
    """
    sweeps = Sweeps(store)
    for item in sweeps.items(sweep, status="running"):
        row = store.run(str(item.run))
        if row.status == "running":
            interrupt(store, row, reason)
    if released := sweeps.release(sweep):
        log("items.released", level=logging.WARNING, sweep=sweep, items=released, reason=reason)
    return released


async def conduct(store: Store, claim: Claim, course: Course, executor: Executor) -> SweepRow:
    """Execute a claimed sweep and note how it ended.

    Args:
        store: Where it stands.
        claim: On its name.
        course: Its state.
        executor: What executes its items.

    Returns:
        The sweep's row: ``finished``, or ``stopped`` where a budget left no room.

    Raises:
        SandboxError: It could not go on; the row says ``failed`` and why.
        asyncio.CancelledError: It was stopped; the row says ``interrupted``, and it can be resumed.
    """
    sweeps, sweep = Sweeps(store), course.sweep
    sweeps.set(sweep.id, status="running", reason="", ended=None)
    _log_standing("sweep.start", course)
    heart = asyncio.create_task(_beat(claim, course, asyncio.current_task()))
    try:
        await executor.execute(course)
        # a claim that was lost in the last moment must not end the sweep for who has it now
        claim.beat()
        left = sweeps.counts(sweep.id)[()].left
        reason = "; ".join(course.reasons.values()) if left else ""
        _end(course, "stopped" if left else "finished", reason)
    except asyncio.CancelledError:
        if heart.done() and not heart.cancelled() and (error := heart.exception()):
            raise error from None
        with contextlib.suppress(StoreError):
            recover(store, sweep.id, "stopped by its user")
            _end(course, "interrupted", "stopped by its user")
        raise
    except BaseExceptionGroup as errors:
        error = first(errors)
        _fail(store, course, error)
        raise error from None
    except TakenError:
        log("claim.lost", level=logging.ERROR, sweep=sweep.id)
        raise  # another process has it now
    except Exception as error:
        _fail(store, course, error)
        raise
    finally:
        heart.cancel()
        await asyncio.wait({heart})
    return sweeps.get(sweep.id)


async def _beat(claim: Claim, course: Course, conducting: asyncio.Task[object] | None) -> None:
    try:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            claim.beat()
            course.sweeps.set(course.sweep.id, seconds=course.total_seconds())
    except SandboxError:
        if conducting:
            conducting.cancel()
        raise


def _end(course: Course, status: str, reason: str) -> None:
    course.sweeps.set(
        course.sweep.id,
        status=status,
        reason=reason,
        seconds=course.total_seconds(),
        ended=time.time(),
    )
    _log_standing(
        "sweep.end",
        course,
        level=logging.INFO if status == "finished" else logging.WARNING,
        status=status,
        reason=reason or None,
    )


def _log_standing(
    event: str, course: Course, *, level: int = logging.INFO, **fields: object
) -> None:
    now = course.standing()
    log(
        event,
        level=level,
        sweep=course.sweep.id,
        name=course.sweep.name,
        **fields,
        **{name: getattr(now, name) for name in ("planned", "finished", "failed", "skipped")},
        seconds=now.elapsed,
        tokens=int(now.used.tokens),
        cost_eur=now.used.eur,
    )


def _fail(store: Store, course: Course, error: BaseException) -> None:
    with contextlib.suppress(StoreError):
        recover(store, course.sweep.id, "the sweep failed")
        _end(course, "failed", reason(error)[:2000])
