"""What the numbers about predicted labels mean, as `clbench explain` prints it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    """What a number about predicted labels is.

    Attributes:
        formula: With TP, FP, FN, TN of label 1.
        source: Where it comes from.
        undefined: Why it may have no value, and what is given then.
    """

    formula: str
    source: str
    undefined: str = ""


MEANINGS: dict[str, Meaning] = {
    "accuracy": Meaning("(TP + TN) / N", "GLUE: SST-2, MRPC, RTE"),
    "f1": Meaning(
        "2 TP / (2 TP + FP + FN), of label 1",
        "van Rijsbergen 1979; GLUE: MRPC",
        "no positive label and none predicted: 0",
    ),
    "matthews": Meaning(
        "(TP TN - FP FN) / sqrt((TP + FP)(TP + FN)(TN + FP)(TN + FN))",
        "Matthews 1975; for more labels Gorodkin 2004; GLUE: CoLA",
        "only one label predicted, or only one there: 0, as in scikit-learn",
    ),
}
