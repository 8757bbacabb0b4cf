"""Every definition by its name: formula, source, and who computes it so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from clbench.metrics import continual, variants
from clbench.metrics.continual import Array

Needs = Literal["R", "baseline", "joint"]

FEW = "one experience has no earlier and no later one"


@dataclass(frozen=True)
class Definition:
    """One number that is computed from a score matrix.

    Attributes:
        name: As `clbench explain` and `clbench conformance` call it.
        family: What people call it; the first definition of a family is the one that
            boards show.
        formula: With R[i, j] the accuracy on task j after experience i, T tasks and
            experiences, b[j] before any training, all counted from 1.
        source: Where it comes from.
        users: Code bases that compute it under the family's name.
        needs: What it is computed from besides R.
        compute: (R, extra) -> value; extra is what it needs.
        undefined: Why it may have no value.
    """

    name: str
    family: str
    formula: str
    source: str
    users: str
    compute: Callable[[Array, Array | None], float]
    needs: Needs = "R"
    undefined: str = FEW

    def value(
        self, R: Array, baseline: Array | None = None, joint: Array | None = None
    ) -> float:
        """The number; NaN where it is not defined, or what it needs is missing."""
        extra = {"R": None, "baseline": baseline, "joint": joint}[self.needs]
        if extra is None and self.needs != "R":
            return float("nan")
        return self.compute(R, extra)


def _of(function: Callable[[Array], float]) -> Callable[[Array, Array | None], float]:
    return lambda R, extra: function(R)


def _with(
    function: Callable[[Array, Array], float],
) -> Callable[[Array, Array | None], float]:
    return lambda R, extra: function(R, np.asarray(extra))


LOPEZ_PAZ = "Lopez-Paz and Ranzato, NeurIPS 2017"
CHAUDHRY = "Chaudhry et al., ECCV 2018"
DIAZ = "Díaz-Rodríguez et al., 2018"
ZSCL = "Zheng et al. (ZSCL), ICCV 2023"

DEFINITIONS: tuple[Definition, ...] = (
    Definition(
        name="average_accuracy",
        family="average accuracy",
        formula="1/T sum_j R[T, j]",
        source=LOPEZ_PAZ,
        users="GEM; MTIL calls it Last",
        compute=_of(continual.average_accuracy),
        undefined="",
    ),
    Definition(
        name="anytime_average_accuracy",
        family="average accuracy",
        formula="1/T sum_k 1/k sum_{j<=k} R[k, j]",
        source="average incremental accuracy; Rebuffi et al., CVPR 2017",
        users="class-incremental papers, weighted by test examples: PILOT, continuum",
        compute=_of(continual.anytime_average_accuracy),
        undefined="",
    ),
    Definition(
        name="mtil_average",
        family="average accuracy",
        formula="1/T^2 sum_i sum_j R[i, j]",
        source=ZSCL,
        users="MTIL, X-TAIL (Average)",
        compute=_of(continual.mtil_average),
        undefined="",
    ),
    Definition(
        name="average_seen_only",
        family="average accuracy",
        formula="1/T sum_j 1/(T-j+1) sum_{i>=j} R[i, j]",
        source="not published as such",
        users="nobody; often taken for MTIL's Average",
        compute=_of(variants.average_seen_only),
        undefined="",
    ),
    Definition(
        name="accuracy_lower_triangle",
        family="average accuracy",
        formula="2/(T(T+1)) sum_{i>=j} R[i, j]",
        source=DIAZ,
        users="continuum (accuracy A)",
        compute=_of(continual.accuracy_lower_triangle),
        undefined="",
    ),
    Definition(
        name="forgetting_chaudhry",
        family="forgetting",
        formula="1/(T-1) sum_{j<T} max_{i<T} R[i, j] - R[T, j]",
        source=CHAUDHRY,
        users="clbench",
        compute=_of(continual.forgetting_chaudhry),
    ),
    Definition(
        name="forgetting_from_own_time",
        family="forgetting",
        formula="1/(T-1) sum_{j<T} max_{j<=i<T} R[i, j] - R[T, j]",
        source="Chaudhry's, of rows since the task was learned",
        users="continuum",
        compute=_of(continual.forgetting_from_own_time),
    ),
    Definition(
        name="forgetting_first_value",
        family="forgetting",
        formula="1/(T-1) sum_{j<T} R[j, j] - R[T, j]",
        source="minus backward transfer",
        users="Avalanche",
        compute=_of(continual.forgetting_first_value),
    ),
    Definition(
        name="forgetting_including_final",
        family="forgetting",
        formula="1/(T-1) sum_{j<T} max_{j<=i<=T} R[i, j] - R[T, j]",
        source="never negative",
        users="Mammoth, PILOT (on values rounded to 2 digits)",
        compute=_of(continual.forgetting_including_final),
    ),
    Definition(
        name="forgetting_next_column",
        family="forgetting",
        formula="1/(T-1) sum_{j<T} max_{j-1<=i<=T} R[i, j] - R[T, j]",
        source="rows hold the next task's accuracy before its training",
        users="Mammoth with its extra metrics on",
        compute=_of(variants.forgetting_next_column),
    ),
    Definition(
        name="forgetting_off_by_one",
        family="forgetting",
        formula="1/(T-1) sum_{j<T-1} R[j, j] - R[T, j]",
        source="the last old task is left out, the divisor stays",
        users="LibContinual",
        compute=_of(variants.forgetting_off_by_one),
    ),
    Definition(
        name="backward_transfer",
        family="backward transfer",
        formula="1/(T-1) sum_{j<T} R[T, j] - R[j, j]",
        source=LOPEZ_PAZ,
        users="clbench, Avalanche, Mammoth",
        compute=_of(continual.backward_transfer),
    ),
    Definition(
        name="backward_transfer_over_T",
        family="backward transfer",
        formula="1/T sum_{j<T} R[T, j] - R[j, j]",
        source="the paper's own code",
        users="GEM",
        compute=_of(variants.backward_transfer_over_T),
    ),
    Definition(
        name="backward_transfer_all_pairs",
        family="backward transfer",
        formula="2/(T(T-1)) sum_{i>j} R[i, j] - R[j, j]",
        source=DIAZ,
        users="continuum, which cites Lopez-Paz and Ranzato",
        compute=_of(continual.backward_transfer_all_pairs),
    ),
    Definition(
        name="backward_transfer_negative_over_T",
        family="backward transfer",
        formula="1/T sum_{j<T} min(R[T, j] - R[j, j], 0)",
        source="gains are not counted",
        users="scripts in TRACE's line, as forgetting with the sign turned",
        compute=_of(variants.backward_transfer_negative_over_T),
    ),
    Definition(
        name="forward_transfer",
        family="forward transfer",
        formula="1/(T-1) sum_{j>1} R[j-1, j] - b[j]",
        source=LOPEZ_PAZ,
        users="clbench, Avalanche",
        compute=_with(continual.forward_transfer),
        needs="baseline",
        undefined=f"{FEW}, or accuracies before any training are missing",
    ),
    Definition(
        name="forward_transfer_over_T",
        family="forward transfer",
        formula="1/T sum_{j>1} R[j-1, j] - b[j]",
        source="the paper's own code",
        users="GEM",
        compute=_with(variants.forward_transfer_over_T),
        needs="baseline",
        undefined=f"{FEW}, or accuracies before any training are missing",
    ),
    Definition(
        name="forward_transfer_no_baseline",
        family="forward transfer",
        formula="1/(T-1) sum_{j>1} R[j-1, j]",
        source="nothing is subtracted",
        users="continuum",
        compute=_of(variants.forward_transfer_no_baseline),
    ),
    Definition(
        name="forward_transfer_upper_triangle",
        family="forward transfer",
        formula="2/(T(T-1)) sum_{i<j} R[i, j]",
        source=DIAZ,
        users="",
        compute=_of(continual.forward_transfer_upper_triangle),
    ),
    Definition(
        name="mtil_transfer",
        family="transfer",
        formula="1/(T-1) sum_{j>1} 1/(j-1) sum_{i<j} R[i, j]",
        source=ZSCL,
        users="clbench, MTIL, X-TAIL",
        compute=_of(continual.mtil_transfer),
    ),
    Definition(
        name="transfer_pooled",
        family="transfer",
        formula="2/(T(T-1)) sum_{i<j} R[i, j]",
        source="tasks weigh by how long they wait",
        users="nobody; often taken for MTIL's Transfer",
        compute=_of(variants.transfer_pooled),
    ),
    Definition(
        name="transfer_stage_first",
        family="transfer",
        formula="1/(T-1) sum_{i<T} 1/(T-i) sum_{j>i} R[i, j]",
        source="stages weigh alike",
        users="Mammoth (eval_future)",
        compute=_of(variants.transfer_stage_first),
    ),
    Definition(
        name="transfer_without_zeros",
        family="transfer",
        formula="as mtil_transfer, entries that are exactly 0 left out",
        source="zeros are taken for missing entries",
        users="the released code of RAIL and CoDyRA",
        compute=_of(variants.transfer_without_zeros),
    ),
    Definition(
        name="learning_accuracy",
        family="plasticity",
        formula="1/T sum_j R[j, j]",
        source="Riemer et al., ICLR 2019",
        users="clbench",
        compute=_of(continual.learning_accuracy),
        undefined="",
    ),
    Definition(
        name="intransigence",
        family="plasticity",
        formula="1/T sum_j a*[j] - R[j, j], a* of a jointly trained model",
        source=CHAUDHRY,
        users="clbench, where there is a joint run",
        compute=_with(continual.intransigence),
        needs="joint",
        undefined="there is no joint run to compare with",
    ),
    Definition(
        name="stability",
        family="stability",
        formula="1/(T-1) sum_{j<T} R[T, j]",
        source="mean final accuracy on old tasks",
        users="clbench",
        compute=_of(continual.stability),
    ),
    Definition(
        name="stability_relative",
        family="stability",
        formula="1 - 1/(T-1) sum_{j<T} (R[j, j] - R[T, j]) / R[j, j]",
        source="one less the relative loss",
        users="",
        compute=_of(variants.stability_relative),
    ),
    Definition(
        name="stability_plasticity",
        family="stability",
        formula="2SP / (S + P), S stability, P learning accuracy",
        source="harmonic mean of both",
        users="clbench",
        compute=_of(continual.stability_plasticity),
    ),
)
"""All of them, family after family."""


def families() -> tuple[str, ...]:
    """Names of the families, in their order."""
    return tuple(dict.fromkeys(entry.family for entry in DEFINITIONS))
