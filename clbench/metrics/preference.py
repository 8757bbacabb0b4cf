"""How well a policy prefers: accuracy, margins, implicit rewards, divergence, wins.

Of N held-out pairs: `logp` and `reference` are (N, 2), log-probabilities of the chosen
and of the rejected response under policy and reference, summed over their tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIE = 1e-5
"""A margin this near to 0 is rounding, and no preference: it counts one half."""


def rewards(logp: Array, reference: Array, beta: float) -> Array:
    """(N, 2) implicit rewards r = beta (l - l0)."""
    found: Array = beta * (np.asarray(logp) - np.asarray(reference))
    return found


def preference_accuracy(margins: Array) -> float:
    """Part of the pairs whose margin is above 0; ties count one half.

    Args:
        margins: (N,).
    """
    tied = np.abs(margins) <= TIE
    return float(np.mean(np.where(tied, 0.5, margins > 0)))


def preference(
    logp: Array, reference: Array, lengths: NDArray[np.int64], beta: float
) -> dict[str, float]:
    """Everything that log-probabilities of pairs say.

    Args:
        logp, reference: (N, 2).
        lengths: (N, 2) tokens of each response.
        beta: Of the margin.
    """
    reward = rewards(logp, reference, beta)
    margin = reward[:, 0] - reward[:, 1]
    each = reward / lengths
    return {
        "accuracy": preference_accuracy(margin),
        "margin": float(margin.mean()),
        "margin_median": float(np.median(margin)),
        "margin_per_token": float((each[:, 0] - each[:, 1]).mean()),
        "reward_chosen": float(reward[:, 0].mean()),
        "reward_rejected": float(reward[:, 1].mean()),
    }


def divergence(tokens: Sequence[Array]) -> dict[str, float]:
    """`kl` and `kl_per_token` of sampled texts.

    Args:
        tokens: Of each text, the divergence at each of its tokens.
    """
    sums = [float(np.sum(text)) for text in tokens]
    return {
        "kl": float(np.mean(sums)),
        "kl_per_token": float(np.sum(sums) / max(1, sum(map(len, tokens)))),
    }
