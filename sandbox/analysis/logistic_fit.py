"""Weights of figures, fitted on labelled runs: logistic regression, also where only the run has a label.

- Logistic regression with an L2 penalty, by L-BFGS-B (R. H. Byrd and others, SIAM J. Sci. Comput. 16
  (1995)).
- Of a run that was harmful it is not known which call was: the one that scores highest stands for it,
  and the fit is repeated (mi-SVM's heuristic: S. Andrews and others, NIPS 15 (2002)). Of a run without
  harm the two highest calls count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

ROUNDS = 4
"""Times that the calls that stand for their runs are chosen anew."""
PENALTY = 3.0
"""Half the inverse variance of a weight's normal prior, as the sum of squares is penalised by it."""
HIGHEST = 2
"""Calls of a run without harm that count."""

Floats = NDArray[np.float64]


def logistic(
    figures: Floats, positive: NDArray[np.bool_], *, penalty: float = PENALTY
) -> tuple[Floats, float]:
    """Return weights and intercept of a logistic regression.

    Args:
        figures: Rows × figures.
        positive: One for each row.
        penalty: Of the squares of the weights; the intercept is free.
    """
    count = figures.shape[1]
    sign = np.where(positive, 1.0, -1.0)

    def loss(at: Floats) -> tuple[float, Floats]:
        margin = sign * (figures @ at[:-1] + at[-1])
        pull = -sign * expit(-margin)
        slope = np.append(figures.T @ pull + 2 * penalty * at[:-1], pull.sum())
        return float(np.logaddexp(0.0, -margin).sum() + penalty * at[:-1] @ at[:-1]), slope

    found = minimize(loss, np.zeros(count + 1), jac=True, method="L-BFGS-B")
    return np.asarray(found.x[:-1]), float(found.x[-1])


def witnesses(
    bags: Sequence[Floats],
    positive: NDArray[np.bool_],
    first: Callable[[Floats], Floats],
    *,
    penalty: float = PENALTY,
) -> tuple[Floats, float]:
    """Return weights and intercept where a label belongs to a run of several calls.

    Args:
        bags: For each run, calls × figures; at least one call each.
        positive: One for each run.
        first: What ranks the calls of a run before anything is fitted.
        penalty: As for :func:`logistic`.
    """
    rank = first
    weights, intercept = np.zeros(bags[0].shape[1]), 0.0
    for _ in range(ROUNDS):
        rows: list[Floats] = []
        labels: list[bool] = []
        for bag, label in zip(bags, positive, strict=True):
            order = np.argsort(-rank(bag), kind="stable")[: 1 if label else HIGHEST]
            rows.append(bag[order])
            labels += [bool(label)] * len(order)
        weights, intercept = logistic(np.vstack(rows), np.asarray(labels), penalty=penalty)
        rank = _by(weights, intercept)
    return weights, intercept


def _by(weights: Floats, intercept: float) -> Callable[[Floats], Floats]:
    return lambda bag: np.asarray(bag @ weights + intercept)
