"""The numbers that a stream of preference domains is scored by."""

from __future__ import annotations

import numpy as np

from clbench.contract import Metric
from clbench.matrix import Matrix
from clbench.metrics import continual, stream
from clbench.metrics.stream import tuning

HEADLINE = Metric(
    name="accuracy",
    title="Preference accuracy",
    definition=(
        "Part of the held-out pairs whose chosen response the policy has raised above "
        "the rejected one, beside the base; ties count one half."
    ),
)

MAIN = Metric(
    name="last",
    title="Last",
    definition=(
        "Mean preference accuracy over all domains after the last experience; ties, as "
        "before any training, count one half."
    ),
)


def _number(name: str, title: str, definition: str, up: bool | None = True) -> Metric:
    return Metric(
        name=name,
        title=title,
        definition=definition,
        higher_is_better=up,
        percent=False,
    )


FINAL: tuple[Metric, ...] = (
    _number(
        "margin",
        "Margin",
        "Mean DPO margin beta [(l - l0)(chosen) - (l - l0)(rejected)] of held-out "
        "pairs, mean over all domains after the last experience.",
    ),
    _number(
        "margin_median",
        "Median margin",
        "As Margin, the median of each domain.",
    ),
    _number(
        "margin_per_token",
        "Margin per token",
        "As Margin, the rewards of both responses divided by their numbers of tokens.",
    ),
    _number(
        "reward_chosen",
        "Chosen reward",
        "Mean beta (l - l0) of chosen responses, over all domains at the end; below 0 "
        "they have become less likely than under the base.",
        None,
    ),
    _number(
        "reward_rejected",
        "Rejected reward",
        "Likewise of rejected responses.",
        None,
    ),
    _number(
        "kl",
        "KL",
        "Divergence of the policy from the base, nats for a response: exact at each "
        "token, summed, over responses that the policy samples to held-out prompts; "
        "mean over all domains at the end.",
        None,
    ),
    _number(
        "kl_per_token",
        "KL per token",
        "The same sums divided by the number of sampled tokens.",
        None,
    ),
)
"""Means over the domains of the last row."""

WIN_RATE = Metric(
    name="win_rate",
    title="Win rate",
    definition=(
        "Part of the held-out prompts where the exact judge of the domain scores the "
        "policy's greedy response above the base's, ties one half; mean over the "
        "domains that have such a judge, after the last experience."
    ),
)

METRICS: tuple[Metric, ...] = (
    MAIN,
    Metric(
        name="average",
        title="Average",
        definition=(
            "Mean preference accuracy over all domains, seen and unseen, and over all "
            "stages after the first experience."
        ),
    ),
    Metric(
        name="forgetting",
        title="Forgetting",
        definition=(
            "Chaudhry et al. 2018, of preference accuracies: mean over old domains of "
            "the best earlier one less the last; undefined when all arrive at once."
        ),
        higher_is_better=False,
    ),
    Metric(
        name="backward_transfer",
        title="BWT",
        definition=(
            "Lopez-Paz and Ranzato 2017: mean over old domains of the last preference "
            "accuracy less that when just learned."
        ),
    ),
    Metric(
        name="transfer",
        title="Transfer",
        definition=(
            "For each domain but the first the mean preference accuracy over the "
            "stages before it was learned, then the mean over domains: 50 % is none."
        ),
    ),
    Metric(
        name="learning_accuracy",
        title="Learning accuracy",
        definition="Mean preference accuracy in each domain when just learned.",
    ),
    WIN_RATE,
    *FINAL,
)

COMPARED: tuple[Metric, ...] = (
    Metric(
        name="intransigence",
        title="Intransigence",
        definition=(
            "Chaudhry et al. 2018: mean over domains of the preference accuracy of a "
            "model that learned all at once (the same strategy's where there is one, "
            "else the best) less that when just learned; can be negative."
        ),
        higher_is_better=False,
    ),
)

TUNING = tuning(
    HEADLINE.name, "training pairs", within=("backbone",), usual={"responses": 0}
)
"""Answers of the policy are of no use there, and take most of the time."""


def score(matrix: Matrix) -> dict[str, float]:
    """Every number of `METRICS` for one record."""
    R, learned = stream.after(matrix, "accuracy")
    last = matrix.rows[-1].scores

    def final(name: str) -> float:
        values = [row[name] for row in last.values() if name in row]
        return float(np.mean(values)) if values else float("nan")

    return {
        "last": continual.average_accuracy(R),
        "average": continual.mtil_average(R),
        **stream.retention(R, learned),
        "transfer": continual.mtil_transfer(R, learned),
        "learning_accuracy": continual.learning_accuracy(R, learned),
        **{metric.name: final(metric.name) for metric in (WIN_RATE, *FINAL)},
    }
