"""What people say of runs: labels of the source ``person``, checked, with the history of corrections."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import insert
from sqlmodel import col, select

from sandbox.errors import InputError, nearest
from sandbox.trace.labels import OUTCOMES, Label, Labels
from sandbox.trace.paging import Pages
from sandbox.trace.store import Store
from sandbox.trace.tables import LabelPastRow

PERSON = "person"
"""Source of the labels that people set."""
VALUES: dict[str, tuple[str, ...]] = {
    "task": ("done", "refused", "incapable", "limit", "error", "unclear"),
    "outcome": (*OUTCOMES, "unclear"),
    "harm": ("0", "1", "2", "3", "4"),
    "judge": ("correct", "incorrect", "unclear"),
}
"""Label → its values: what became of the task; of the attack; how much harm was done, none to most;
whether the monitors judged the run rightly."""
VERDICT = "verdict"
"""A label ``verdict@17`` says whether the verdict in event 17 is right; its values are those of ``judge``."""
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_FIELDS = ("run", "name", "source", "by", "value", "at", "note")


@dataclass(frozen=True)
class LabelChange:
    """How many labels were set, corrected and found to be so already."""

    added: int = 0
    corrected: int = 0
    unchanged: int = 0


def checked(name: str, value: str) -> str:
    """Return the value of a label in the form in which it is kept.

    Raises:
        InputError: There is no such label, or it has no such value.
    """
    values = VALUES.get(name) if event_of(name) is None else VALUES["judge"]
    if values is None:
        raise InputError(f"unknown label {name!r}{nearest(name, VALUES)}")
    tidy = value.strip().lower()
    if tidy not in values:
        raise InputError(f"{name}: unknown value {value.strip()!r}{nearest(tidy, values)}")
    return tidy


def of_verdict(event: int) -> str:
    """Return the name of the label that says whether the verdict in an event is right."""
    return f"{VERDICT}@{event}"


def event_of(name: str) -> int | None:
    """Return the number of the event whose verdict a label is about; None for all other labels."""
    head, _, number = name.partition("@")
    return int(number) if head == VERDICT and _NUMBER.fullmatch(number) else None


def annotate(store: Store, labels: Iterable[Label]) -> LabelChange:
    """Set people's labels; what is corrected is kept as history.

    A label that is set already, with the same value and note, is left alone: the same file can be
    read twice.

    Raises:
        InputError: A label or its value is unknown, or nobody's name stands by it.
        StoreError: They cannot be stored.
    """
    wanted = list(labels)
    for label in wanted:
        checked(label.name, label.value)
        if not label.by.strip():
            raise InputError("whose labels are these? give a name, or a pseudonym")
        event = event_of(label.name)
        if event is not None and [x.kind for x in Pages(store, label.run).some([event])] != [
            VERDICT
        ]:
            raise InputError(f"{label.name}: event {event} of run {label.run} is no verdict")
    held = Labels(store)
    added: list[Label] = []
    past: list[Label] = []
    unchanged = 0
    for run, group in groupby(sorted(wanted, key=lambda label: label.run), lambda label: label.run):
        before = {(x.name, x.by): x for x in held.find(run=run, source=PERSON)}
        for label in group:
            old = before.get((label.name, label.by))
            if old and (old.value, old.note) == (label.value, label.note):
                unchanged += 1
                continue
            added.append(label)
            past += [old] if old else []
    if past:
        _keep(store, past)
    held.add(added)
    return LabelChange(len(added) - len(past), len(past), unchanged)


def withdraw(store: Store, label: Label) -> None:
    """Take back a label that a person has set; what it was is kept as history.

    Raises:
        StoreError: It cannot be removed.
    """
    held = Labels(store)
    past = list(held.find(run=label.run, name=label.name, source=PERSON, by=label.by))
    if past:
        _keep(store, past)
        held.remove(past)


def _keep(store: Store, past: Sequence[Label]) -> None:
    replaced = time.time()
    rows = [{**{key: getattr(x, key) for key in _FIELDS}, "replaced": replaced} for x in past]
    store.change("keep corrected labels in", [(insert(LabelPastRow), rows)])


@dataclass(frozen=True, slots=True)
class Past:
    """A label that was corrected."""

    label: Label
    replaced: float
    """When, in seconds since the epoch."""


def history(store: Store, run: str | None = None) -> Iterator[Past]:
    """Yield the labels that were corrected, oldest correction first."""
    columns = (*_FIELDS, "replaced")
    query = select(*(getattr(LabelPastRow, key) for key in columns))
    if run is not None:
        query = query.where(col(LabelPastRow.run) == run)
    for row in store.select(query.order_by(col(LabelPastRow.replaced), col(LabelPastRow.id))):
        yield Past(Label(**dict(zip(_FIELDS, row, strict=False))), row[-1])
