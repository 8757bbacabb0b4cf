"""How well a policy prefers: accuracy, margins, implicit rewards, divergence, wins.

Of N held-out pairs: `logp` and `reference` are (N, 2), log-probabilities of the chosen
and of the rejected response under policy and reference, summed over their tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIE = 1e-5
"""A margin this near to 0 is rounding, and no preference: it counts one half."""


@dataclass(frozen=True)
class Meaning:
    """What a number about preferences is.

    Attributes:
        formula: With r = beta (log pi(y|x) - log pi0(y|x)), y_w chosen, y_l rejected.
        source: Where it comes from.
    """

    formula: str
    source: str


RAFAILOV = "Rafailov et al. (DPO), NeurIPS 2023"

MEANINGS: Mapping[str, Meaning] = {
    "preference_accuracy": Meaning(
        "mean of 1[r(y_w) > r(y_l)], ties 1/2", f"{RAFAILOV}; TRL's rewards/accuracies"
    ),
    "margin": Meaning("mean of m = r(y_w) - r(y_l)", f"{RAFAILOV}, equation 7"),
    "margin_median": Meaning("median of m", "less moved by a few pairs than the mean"),
    "margin_per_token": Meaning(
        "mean of r(y_w) / |y_w| - r(y_l) / |y_l|",
        "length-normalised; Meng et al. (SimPO), NeurIPS 2024, with a reference",
    ),
    "reward_chosen": Meaning("mean of r(y_w)", f"{RAFAILOV}; can fall as m grows"),
    "reward_rejected": Meaning("mean of r(y_l)", RAFAILOV),
    "kl": Meaning(
        "mean over y ~ pi of sum_t KL(pi(.|x, y_<t) || pi0(.|x, y_<t))",
        "each token's divergence is exact, the texts are sampled",
    ),
    "kl_per_token": Meaning("the same sums, divided by all tokens of the texts", "kl"),
    "win_rate": Meaning(
        "mean of 1[score(y) > score(y0)], ties 1/2; y, y0 greedy of pi, pi0",
        f"{RAFAILOV}; the judge here is exact",
    ),
}
"""Name -> what it is; `clbench explain` prints it."""


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
