"""Labels in a pack: what people and others say of its runs, in a member of its own beside the evidence."""

from __future__ import annotations

import json
from collections.abc import Iterable

from sandbox.scenario.validation import parse_as
from sandbox.trace.labels import Label, Labels
from sandbox.trace.store import Store

MEMBER = "labels.json"
_TEXTS = ("run", "name", "value", "source", "by", "note")
_LONGEST = 100_000


def as_member(labels: Iterable[Label]) -> bytes:
    """Return the member's bytes; the same labels give the same bytes."""
    fields = [{name: getattr(label, name) for name in (*_TEXTS, "at")} for label in labels]
    fields.sort(key=lambda each: (each["run"], each["name"], each["source"], each["by"]))
    return json.dumps(fields, indent=1, allow_nan=False).encode() + b"\n"


def of_member(raw: bytes, runs: Iterable[str]) -> list[Label]:
    """Return the labels in a member.

    Args:
        raw: Its bytes.
        runs: The runs of the pack.

    Raises:
        ValueError: It holds something else, or a label of another run.
    """
    run_ids = set(runs)
    try:
        labels = parse_as(list[Label], json.loads(raw))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"holds no labels: {error}") from error
    for label in labels:
        texts = [getattr(label, name) for name in _TEXTS]
        if max(map(len, texts)) > _LONGEST or not all(texts[:4]):
            raise ValueError("holds a label that is none")
        if label.run not in run_ids:
            raise ValueError(f"holds a label of the run {label.run[:40]}, which the pack has not")
    return labels


def restore(store: Store, labels: Iterable[Label]) -> int:
    """Set labels of a pack in a store, where it has not the same label already; return how many.

    What was said in this store stays: a pack corrects nobody.
    """
    labels, stored = list(labels), Labels(store)
    existing = stored.of_runs({label.run for label in labels})
    keys = {(x.run, x.name, x.source, x.by) for x in existing}
    return stored.add(x for x in labels if (x.run, x.name, x.source, x.by) not in keys)
