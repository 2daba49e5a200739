"""How the scores of several replies become one."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

_COMBINATIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "max": max,
    "median": statistics.median,
}


def quorum_size(number: int, quorum: int | None) -> int:
    """Return how many of the wanted replies must be usable."""
    return min(quorum or number, number)


def combine(how: str, scores: Sequence[float]) -> float:
    """Return one score of several: their ``mean``, ``max`` or ``median``."""
    return float(_COMBINATIONS[how](scores))
