"""Rates and their intervals."""

from __future__ import annotations

import pytest

from sandbox.analysis.rates import Rate


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        (0, 30, 0.0, 0.1135),
        (15, 148, 0.0624, 0.1605),
        (81, 263, 0.2553, 0.3662),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_the_interval_is_wilsons(count: int, total: int, low: float, high: float) -> None:
    """Agrees with Newcombe's published table (Statistics in Medicine 17, 1998, method 3)."""
    assert Rate(count, total).interval() == pytest.approx((low, high), abs=5e-4)


def test_nothing_observed_says_nothing() -> None:
    """Of no runs the interval is everything, and the text says that there were none."""
    assert Rate(0, 0).interval() == (0.0, 1.0)
    assert str(Rate(0, 0)) == "none"
