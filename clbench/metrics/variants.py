"""What other code bases compute under the same names, each by its own rule.

`R` is square, (T, T), tasks in the order of the stream, as in `continual`. None of
these is what a board shows; they are here so that numbers can be told apart.
"""

from __future__ import annotations

import numpy as np

from clbench.metrics.continual import Array


def forgetting_next_column(R: Array) -> float:
    """Mammoth, where rows hold the next task's accuracy before its training too."""
    T = len(R)
    return _mean([R[max(j - 1, 0) :, j].max() - R[-1, j] for j in range(T - 1)])


def forgetting_off_by_one(R: Array) -> float:
    """LibContinual: the last old task is left out, the divisor stays T - 1."""
    T = len(R)
    if T < 2:
        return float("nan")
    lost = np.diag(R)[: T - 2] - R[-1, : T - 2]
    return float(lost.sum() / (T - 1))


def backward_transfer_over_T(R: Array) -> float:
    """GEM's code: the sum over old tasks, divided by T."""
    T = len(R)
    return float((R[-1] - np.diag(R))[:-1].sum() / T) if T > 1 else float("nan")


def backward_transfer_negative_over_T(R: Array) -> float:
    """TRACE's scripts: only losses are summed, divided by T."""
    T = len(R)
    if T < 2:
        return float("nan")
    return float(np.minimum(R[-1] - np.diag(R), 0)[:-1].sum() / T)


def forward_transfer_over_T(R: Array, b: Array) -> float:
    """GEM's code: the sum over later tasks, divided by T."""
    T = len(R)
    if T < 2:
        return float("nan")
    return float((np.diag(R, k=1) - b[1:]).sum() / T)


def forward_transfer_no_baseline(R: Array) -> float:
    """continuum: mean accuracy just before learning, nothing subtracted."""
    return _mean(np.diag(R, k=1))


def transfer_pooled(R: Array) -> float:
    """Mean of all entries above the diagonal: tasks weigh by their wait."""
    return _mean(R[np.triu_indices(len(R), k=1)])


def transfer_stage_first(R: Array) -> float:
    """Mammoth's evaluation of the future: mean over tasks first, then over stages."""
    T = len(R)
    return _mean([float(R[i, i + 1 :].mean()) for i in range(T - 1)])


def transfer_without_zeros(R: Array) -> float:
    """RAIL's and CoDyRA's code: an accuracy of exactly 0 counts as missing."""
    T = len(R)
    means = []
    for j in range(1, T):
        before = R[:j, j]
        before = before[before != 0]
        if len(before):
            means.append(float(before.mean()))
    return _mean(means)


def average_seen_only(R: Array) -> float:
    """Mean over tasks of the mean since each was learned."""
    return _mean([float(R[j:, j].mean()) for j in range(len(R))])


def stability_relative(R: Array) -> float:
    """One less the mean relative loss of old tasks."""
    own = np.diag(R)[:-1]
    return 1 - _mean((own - R[-1, :-1]) / own) if len(R) > 1 else float("nan")


def _mean(values: Array | list[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
