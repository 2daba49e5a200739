"""One person labels the runs of a queue, one after the other; what is said is stored at once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sandbox.errors import InputError
from sandbox.trace.annotations import PERSON, VALUES, annotate, event_of, of_verdict, withdraw
from sandbox.trace.labels import Label, Labels
from sandbox.trace.paging import Pages, Wanted
from sandbox.trace.store import Store

_VERDICT = Wanted(kinds=frozenset({"verdict"}))
VERDICTS = 200
"""Verdicts of one run that can be labelled one by one: the first so many."""


@dataclass(frozen=True)
class Asked:
    """One thing to be said of a run."""

    name: str
    """Of the label."""
    values: tuple[str, ...]
    verdict: str = ""
    """Of a verdict: its monitor and what it said."""

    @property
    def event(self) -> int | None:
        """The event that it is about, where it is about one."""
        return event_of(self.name)

    def key(self, value: str) -> str:
        """Return the digit that stands for a value: its place, or itself where it is a digit."""
        return value if value.isdigit() else str(self.values.index(value) + 1)

    def value(self, key: str) -> str | None:
        """Return the value that a digit stands for, or None."""
        return next((value for value in self.values if self.key(value) == key), None)


class Sitting:
    """A queue of runs, the person who labels them, and where that person is."""

    def __init__(self, store: Store, by: str, runs: Sequence[str]) -> None:
        """Begin, or go on where the person stopped.

        Args:
            store: Where runs and labels are.
            by: Who labels: a name, or a pseudonym.
            runs: Ids of the runs, in their order.

        Raises:
            InputError: There are no runs, or no name is given.
        """
        if not by.strip():
            raise InputError("whose labels are these? give a name, or a pseudonym")
        if not runs:
            raise InputError("there are no such runs to be labelled")
        self.store = store
        self.by = by
        self.runs = tuple(runs)
        self._held = Labels(store)
        self._last: dict[str, float] = {}
        """Run → when the person last said something of it."""
        known = set(self.runs)
        for label in self._held.find(source=PERSON, by=by):
            if label.run in known:
                self._last[label.run] = max(label.at, self._last.get(label.run, 0.0))
        self.at = self._resumed()

    @property
    def run(self) -> str:
        """The run that is to be labelled."""
        return self.runs[self.at]

    @property
    def labelled(self) -> int:
        """How many runs of the queue the person has said something of."""
        return len(self._last)

    def _resumed(self) -> int:
        """Return where the person stopped: at a run that was begun last, else at the first unlabelled."""
        last = max(self._last, key=lambda run: self._last[run], default=None)
        if last is not None and not set(VALUES) <= self.of_person(last).keys():
            return self.runs.index(last)
        found = self._unlabelled(range(len(self.runs)))
        return 0 if found is None else found

    def _unlabelled(self, places: Iterable[int]) -> int | None:
        return next((place for place in places if self.runs[place] not in self._last), None)

    def forward(self) -> bool:
        """Go to the next run without a label, also one that was passed over; return whether there is one."""
        here = self.at
        found = self._unlabelled((*range(here + 1, len(self.runs)), *range(here)))
        if found is None:
            return False
        self.at = found
        return True

    def back(self) -> bool:
        """Go to the run before, labelled or not; return whether there is one."""
        if not self.at:
            return False
        self.at -= 1
        return True

    def asked(self) -> list[Asked]:
        """Return what is asked of the run: of the whole of it, then of each of its verdicts."""
        found = [Asked(name, values) for name, values in VALUES.items()]
        pages = Pages(self.store, self.run)
        for item in pages.some(pages.numbers(_VERDICT)[:VERDICTS]):
            data = item.content()
            told = f"{str(data.get('verdict', '')).upper()} {data.get('monitor', '')}"
            found.append(Asked(of_verdict(item.seq), VALUES["judge"], told))
        return found

    def of_person(self, run: str = "") -> dict[str, Label]:
        """Return what the person has said of a run, by name of the label; of this run where left out."""
        found = self._held.find(run=run or self.run, source=PERSON, by=self.by)
        return {label.name: label for label in found}

    def of_others(self) -> list[Label]:
        """Return what all others say of the run."""
        return [x for x in self._held.of(self.run) if (x.source, x.by) != (PERSON, self.by)]

    def say(self, name: str, value: str) -> None:
        """Set a label; the note that the person gave to others of this run is also its own.

        Raises:
            InputError: There is no such label or value.
            StoreError: It cannot be stored.
        """
        own = self.of_person()
        old = own.get(name)
        note = old.note if old else "" if event_of(name) is not None else self.note()
        label = Label(self.run, name, value, PERSON, self.by, note=note)
        annotate(self.store, [label])
        self._last[self.run] = label.at

    def unsay(self, name: str) -> None:
        """Take a label back."""
        old = self.of_person().get(name)
        if old is not None:
            withdraw(self.store, old)
        if not self.of_person():
            self._last.pop(self.run, None)

    def note(self, name: str = "") -> str:
        """Return the note on a verdict's label, or on those of the run."""
        own = self.of_person()
        if event_of(name) is not None:
            return own[name].note if name in own else ""
        return next((x.note for key, x in own.items() if key in VALUES and x.note), "")

    def noted(self, name: str = "") -> list[Label]:
        """Return the labels by which a note stands: a verdict's own, or all of the run."""
        single = event_of(name) is not None
        own = self.of_person()
        return [x for key, x in own.items() if (key == name if single else key in VALUES)]

    def write_note(self, text: str, name: str = "") -> bool:
        """Put a note on a verdict's label, or on those of the run; return whether there is one.

        Raises:
            StoreError: It cannot be stored.
        """
        told = self.noted(name)
        changed = [replace(label, note=text.strip(), at=time.time()) for label in told]
        annotate(self.store, changed)
        return bool(told)
