"""The difference of two JSON values as a JSON patch (RFC 6902): what a call did to the world."""

from __future__ import annotations

import marshal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    Operation = dict[str, object]


_PLAIN = 2  # the form of marshal that does not depend on which objects are shared


def diff(before: Any, after: Any, path: str = "") -> list[Operation]:
    """Return the operations that turn ``before`` into ``after``, in order of application.

    Lists are compared by position, with what was appended or cut at the end seen as such, since
    that is how mailboxes, payments and logs grow.

    Args:
        before: The value as it was, JSON data.
        after: The value as it is, JSON data.
        path: JSON pointer of both (RFC 6901).
    """
    return list(_diff(before, after, path))


def _diff(before: Any, after: Any, path: str) -> Iterator[Operation]:
    if type(before) is not type(after):
        yield {"op": "replace", "path": path, "value": after}
    elif isinstance(before, dict):
        for key in sorted(before.keys() - after.keys()):
            yield {"op": "remove", "path": f"{path}/{_escape(key)}"}
        for key, value in after.items():
            if key not in before:
                yield {"op": "add", "path": f"{path}/{_escape(key)}", "value": value}
            elif not _same(before[key], value):
                yield from _diff(before[key], value, f"{path}/{_escape(key)}")
    elif isinstance(before, list):
        yield from _diff_lists(before, after, path)
    elif before != after:
        yield {"op": "replace", "path": path, "value": after}


def _diff_lists(
    before: Sequence[object], after: Sequence[object], path: str
) -> Iterator[Operation]:
    most = min(len(before), len(after))
    start = tail = 0
    while start < most and _same(before[start], after[start]):
        start += 1
    while tail < most - start and _same(before[-1 - tail], after[-1 - tail]):
        tail += 1
    old, new = len(before) - start - tail, len(after) - start - tail
    for index in range(min(old, new)):
        if not _same(before[start + index], after[start + index]):
            yield from _diff(before[start + index], after[start + index], f"{path}/{start + index}")
    for index in range(old - 1, new - 1, -1):
        yield {"op": "remove", "path": f"{path}/{start + index}"}
    for index in range(old, new):
        yield {"op": "add", "path": f"{path}/{start + index}", "value": after[start + index]}


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are the same JSON; to Python alone, ``1``, ``1.0`` and ``True`` are."""
    return bool(one == other) and marshal.dumps(one, _PLAIN) == marshal.dumps(other, _PLAIN)


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
