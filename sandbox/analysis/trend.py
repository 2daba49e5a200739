"""Whether a rate drifts steadily over nights."""

from __future__ import annotations

from collections.abc import Sequence

DRAWS = 9_999


def trend(
    strata: Sequence[Sequence[tuple[int, int]]], *, draws: int = DRAWS, seed: int = 0
) -> float:
    """Return the p-value of the hypothesis that a rate has no linear trend over nights; two-sided.

    The statistic is Cochran's and Armitage's (P. Armitage, Biometrics 11 (1955), 375-386), summed over
    strata. Its distribution comes from drawing the nights' hits again with all totals kept, within
    each stratum, so that it holds for small counts too (B. F. J. Manly, Randomization, Bootstrap and
    Monte Carlo Methods in Biology (2007), chapter 4). The smallest p is 1/(draws + 1).

    Args:
        strata: Of each scenario, hits and runs of each night, oldest first.
        draws: How often.
        seed: Of the draws.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    seen, drawn = 0.0, np.zeros(draws)
    for nights in strata:
        hits = np.array([item[0] for item in nights])
        totals = np.array([item[1] for item in nights])
        if not 0 < hits.sum() < totals.sum():
            continue  # no way to share out none, or all
        times = np.arange(len(nights)) - np.dot(np.arange(len(nights)), totals) / totals.sum()
        seen += float(times @ hits)
        shared = random.multivariate_hypergeometric(totals, int(hits.sum()), size=draws)
        drawn += shared @ times
    as_far = np.count_nonzero(np.abs(drawn) >= abs(seen) - 1e-9)
    return float((as_far + 1) / (draws + 1))
