"""Forgetting, transfer and their published variants, computed from one matrix.

`R` is (E, T): `R[i, j]` is the accuracy on task j after experience i, i from 0.
`learned` gives for each task the experience, from 1, that taught it; without it, task j
is taught by experience j + 1. `b` is (T,), the accuracies of an untrained model: a
record's row 0. Where a number has no meaning, as forgetting with a single experience,
it is NaN, never 0. See docs/metrics.md for where frameworks differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def average_accuracy(R: Array) -> float:
    """Mean of the last row."""
    return float(np.mean(R[-1]))


def average_accuracy_curve(R: Array) -> Array:
    """(T,) mean of the tasks learned so far, after each experience; square R."""
    return np.array([np.mean(R[k, : k + 1]) for k in range(len(R))])


def anytime_average_accuracy(R: Array) -> float:
    """Mean of `average_accuracy_curve`: average incremental accuracy."""
    return float(np.mean(average_accuracy_curve(R)))


def sample_weighted_accuracy_curve(R: Array, examples: Sequence[int]) -> Array:
    """(T,) as `average_accuracy_curve`, tasks weighted by their test examples."""
    n = np.asarray(examples, dtype=float)
    return np.array(
        [np.average(R[k, : k + 1], weights=n[: k + 1]) for k in range(len(R))]
    )


def learning_accuracy(R: Array, learned: Sequence[int] | None = None) -> float:
    """Mean accuracy on each task when it has just been learned: plasticity."""
    return float(np.mean(_own(R, learned)))


def forgetting_per_task(R: Array, learned: Sequence[int] | None = None) -> Array:
    """Chaudhry et al. 2018: the best earlier accuracy less the final one.

    The best is over ALL earlier rows, those before the task was learned included. Tasks
    that the last experience taught are left out. Can be negative.
    """
    old = _old(R, learned)
    if not old.any():
        return np.array([])
    forgotten: Array = R[:-1, old].max(axis=0) - R[-1, old]
    return forgotten


def forgetting_chaudhry(R: Array, learned: Sequence[int] | None = None) -> float:
    """Mean of `forgetting_per_task`; the primary definition of forgetting here."""
    return _mean(forgetting_per_task(R, learned))


def forgetting_from_own_time(R: Array, learned: Sequence[int] | None = None) -> float:
    """As Chaudhry's, but the best since the task was learned (continuum)."""
    since = _since(R, learned)
    return _mean(
        [R[since[j] : -1, j].max() - R[-1, j] for j in np.flatnonzero(_old(R, learned))]
    )


def forgetting_first_value(R: Array, learned: Sequence[int] | None = None) -> float:
    """Accuracy when just learned less the final one (Avalanche): minus BWT."""
    return -backward_transfer(R, learned)


def forgetting_including_final(R: Array, learned: Sequence[int] | None = None) -> float:
    """The best since learned, final row included, less the final: never negative.

    As Mammoth and PILOT compute it, whose rows hold only tasks that were learned.
    """
    since = _since(R, learned)
    return _mean(
        [R[since[j] :, j].max() - R[-1, j] for j in np.flatnonzero(_old(R, learned))]
    )


def backward_transfer(R: Array, learned: Sequence[int] | None = None) -> float:
    """Lopez-Paz and Ranzato 2017: mean change since learned, over T - 1 old tasks."""
    old = _old(R, learned)
    return _mean((R[-1] - _own(R, learned))[old])


def backward_transfer_all_pairs(R: Array) -> float:
    """Diaz-Rodriguez et al. 2018: mean change over all later rows; square R."""
    i, j = np.tril_indices(len(R), k=-1)
    return _mean(R[i, j] - R[j, j])


def forward_transfer(R: Array, b: Array, learned: Sequence[int] | None = None) -> float:
    """Lopez-Paz and Ranzato 2017: accuracy just before learning, less an untrained one.

    Over the tasks that the first experience does not teach.
    """
    since = _since(R, learned)
    later = np.flatnonzero(since > 0)
    return _mean([R[since[j] - 1, j] - b[j] for j in later])


def forward_transfer_upper_triangle(R: Array) -> float:
    """Diaz-Rodriguez et al. 2018: mean above the diagonal, no baseline; square R."""
    return _mean(R[np.triu_indices(len(R), k=1)])


def accuracy_lower_triangle(R: Array) -> float:
    """Diaz-Rodriguez et al. 2018: mean on and below the diagonal; square R."""
    return _mean(R[np.tril_indices(len(R))])


def intransigence(
    R: Array, joint: Array, learned: Sequence[int] | None = None
) -> float:
    """Mean of a jointly trained model's accuracy less that when just learned."""
    return _mean(joint - _own(R, learned))


def stability(R: Array, learned: Sequence[int] | None = None) -> float:
    """Mean final accuracy on the tasks that the last experience did not teach."""
    return _mean(R[-1, _old(R, learned)])


def stability_plasticity(R: Array, learned: Sequence[int] | None = None) -> float:
    """Harmonic mean of `stability` and `learning_accuracy`."""
    s, p = stability(R, learned), learning_accuracy(R, learned)
    return 2 * s * p / (s + p)


def mtil_transfer(R: Array, learned: Sequence[int] | None = None) -> float:
    """MTIL's Transfer: for each task the mean before it was learned, then their mean.

    Tasks that the first experience teaches are left out.
    """
    since = _since(R, learned)
    later = np.flatnonzero(since > 0)
    return _mean([float(np.mean(R[: since[j], j])) for j in later])


def mtil_average(R: Array) -> float:
    """MTIL's Average: mean of every entry."""
    return float(np.mean(R))


def mtil_last(R: Array) -> float:
    """MTIL's Last: mean of the last row."""
    return average_accuracy(R)


def _since(R: Array, learned: Sequence[int] | None) -> NDArray[np.int64]:
    """(T,) row in which each task is learned, from 0."""
    if learned is None:
        return np.arange(R.shape[1])
    return np.asarray(learned, dtype=np.int64) - 1


def _own(R: Array, learned: Sequence[int] | None) -> Array:
    since = _since(R, learned)
    return R[since, np.arange(R.shape[1])]


def _old(R: Array, learned: Sequence[int] | None) -> NDArray[np.bool_]:
    """(T,) whether a task was learned before the last experience."""
    old: NDArray[np.bool_] = _since(R, learned) < len(R) - 1
    return old


def _mean(values: Array | Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
