"""What numbers mean that no matrix holds, as `clbench explain` prints it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Family = Literal["pairs", "labels"]

WHERE: Mapping[Family, str] = {
    "pairs": "r(y) = beta (log pi(y|x) - log pi0(y|x)); y_w chosen, y_l rejected",
    "labels": "TP, FP, FN, TN count a task's test examples; label 1 is positive",
}
"""What the symbols of a family's formulas are."""


@dataclass(frozen=True)
class Meaning:
    """What a number is.

    Attributes:
        family: What it is about: held-out preference pairs, or predicted labels.
        formula: In the symbols of its family.
        source: Where it comes from.
        undefined: Why it may have no value, and what is given then.
    """

    family: Family
    formula: str
    source: str
    undefined: str = ""


RAFAILOV = "Rafailov et al. (DPO), NeurIPS 2023"

MEANINGS: Mapping[str, Meaning] = {
    "accuracy": Meaning("labels", "(TP + TN) / N", "GLUE: SST-2, MRPC, RTE"),
    "f1": Meaning(
        "labels",
        "2 TP / (2 TP + FP + FN), of label 1",
        "van Rijsbergen 1979; GLUE: MRPC",
        "no positive label and none predicted: 0",
    ),
    "matthews": Meaning(
        "labels",
        "(TP TN - FP FN) / sqrt((TP + FP)(TP + FN)(TN + FP)(TN + FN))",
        "Matthews 1975; for more labels Gorodkin 2004; GLUE: CoLA",
        "only one label predicted, or only one there: 0, as in scikit-learn",
    ),
    "preference_accuracy": Meaning(
        "pairs",
        "mean of 1[r(y_w) > r(y_l)], ties 1/2",
        f"{RAFAILOV}; TRL's rewards/accuracies",
    ),
    "margin": Meaning(
        "pairs", "mean of m = r(y_w) - r(y_l)", f"{RAFAILOV}, equation 7"
    ),
    "margin_median": Meaning(
        "pairs", "median of m", "less moved by a few pairs than the mean"
    ),
    "margin_per_token": Meaning(
        "pairs",
        "mean of r(y_w) / |y_w| - r(y_l) / |y_l|",
        "length-normalised; Meng et al. (SimPO), NeurIPS 2024, with a reference",
    ),
    "reward_chosen": Meaning(
        "pairs", "mean of r(y_w)", f"{RAFAILOV}; can fall as m grows"
    ),
    "reward_rejected": Meaning("pairs", "mean of r(y_l)", RAFAILOV),
    "kl": Meaning(
        "pairs",
        "mean over y ~ pi of sum_t KL(pi(.|x, y_<t) || pi0(.|x, y_<t))",
        "each token's divergence is exact, the texts are sampled",
    ),
    "kl_per_token": Meaning(
        "pairs", "the same sums, divided by all tokens of the texts", "kl"
    ),
    "win_rate": Meaning(
        "pairs",
        "mean of 1[score(y) > score(y0)], ties 1/2; y, y0 greedy of pi, pi0",
        f"{RAFAILOV}; the judge here is exact",
    ),
}
"""Name -> what it is."""
