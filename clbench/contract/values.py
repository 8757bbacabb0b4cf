"""Plain values that scenarios, strategies and the engine hand to each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

Batch = Mapping[str, Any]
"""A minibatch: a mapping of tensors. `task` and `domain` are reserved keys."""

Count = Annotated[int, Ge(1)]
"""A whole number, at least 1."""

Positive = Annotated[float, Gt(0)]
"""A number above 0."""

NonNegative = Annotated[float, Ge(0)]
"""A number, at least 0."""

Fraction = Annotated[float, Interval(ge=0, le=1)]
"""A number from 0 to 1."""

Role = Literal["q", "k", "v", "out", "fc1", "fc2", "merge"]
"""What a linear map does in its block, whatever its architecture calls it."""


# --- what is measured ----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number on a board: its name, what it means and which way is up.

    Attributes:
        name: As in the dictionary that a scenario's `scores` gives.
        title: As boards print it.
        definition: What it is, in a sentence.
        higher_is_better: Which way is up; None where neither is.
        percent: Whether it is a part of 1, shown in percent.
    """

    name: str
    title: str
    definition: str
    higher_is_better: bool | None = True
    percent: bool = True


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a model does on one task: one entry of a row of the score matrix.

    Attributes:
        metrics: Named numbers; the same names for this task in every row.
        outcomes: Per-example arrays of one length, in the order of the task's
            examples, such as `prediction`, `confidence` and `correct`.
        pictures: A few examples to look at, such as `input`, `label` and `prediction`:
            (N, S, S, 3) uint8 each, in the order in which they are shown side by side.
            Those of the last row are kept beside the record.
    """

    metrics: Mapping[str, float]
    outcomes: Mapping[str, np.ndarray] = field(default_factory=dict)
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a cell is about to learn from: shown before training, kept in the record.

    Attributes:
        data: Name of the data, such as `pocket` or `pacs`.
        fingerprint: Hash of what is really read; equal data, equal fingerprint.
        backbone: Name of the pre-trained model.
        details: Further facts, such as the number of examples per domain.
    """

    data: str
    fingerprint: str
    backbone: str
    details: Mapping[str, Any] = field(default_factory=dict)


# --- what training may cost and how it steps -----------------------------------------


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What every strategy on one board may use, alike for all.

    Attributes:
        steps: Optimizer steps of the whole stream, of one model.
        batch_size: Examples in one step.
        evaluate_every: Steps between two evaluations within an experience; None
            evaluates at the ends of experiences only.
        models: Models that are trained apart from one another, each with all `steps`.
    """

    steps: int
    batch_size: int
    evaluate_every: int | None = None
    models: int = 1


Shape = Literal["constant", "linear", "cosine"]
"""How a learning rate falls after its warm-up."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Optimizer settings. A strategy's tuned recipe may replace a scenario's default.

    Attributes:
        optimizer: Which optimizer steps.
        lr: Learning rate.
        weight_decay: Decoupled for adamw, an L2 term for adam and sgd.
        betas: Decay rates of Adam's two moments.
        momentum: Momentum of sgd.
        schedule: Shape of the learning rate over one experience.
        warmup: Steps of linear warm-up at the start of each experience.
        clip: Largest gradient norm of a group; None leaves gradients alone.
    """

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: Positive = 1e-3
    weight_decay: NonNegative = 0.0
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    momentum: Fraction = 0.9
    schedule: Shape = "constant"
    warmup: Annotated[int, Ge(0)] = 0
    clip: Positive | None = None


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Step since a group entered the optimizer -> factor of its learning rate.

    A warm-up rises linearly from `start` to 1, then the factor stays, or falls to
    `floor` linearly or as half a cosine. A value like any other: a cell that goes on
    in the middle of an experience has it again.

    Attributes:
        shape: What follows the warm-up.
        steps: The step, warm-up included, at which the floor is reached.
        warmup: Steps of the warm-up.
        start: Where it rises from.
        ahead: Steps that it is ahead: 1 does not begin at `start` but one step above.
        floor: Least factor.
        offset: Added to the step first; negative where the factor in force lags.
        first: Factor at step 0 whatever the rest says; None leaves it to that.
    """

    shape: Shape = "constant"
    steps: int = 0
    warmup: int = 0
    start: float = 0.0
    ahead: int = 0
    floor: float = 0.0
    offset: int = 0
    first: float | None = None

    def __call__(self, step: int) -> float:
        """The factor at `step`, from 0."""
        if step == 0 and self.first is not None:
            return self.first
        step += self.offset
        if step < self.warmup:
            return self.start + (1 - self.start) * (step + self.ahead) / self.warmup
        if self.shape == "constant":
            return 1.0
        progress = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        left = 1.0 - progress
        if self.shape == "cosine":
            left = 0.5 * (1.0 + math.cos(math.pi * progress))
        return self.floor + (1 - self.floor) * left


@dataclass(kw_only=True)
class Group:
    """Parameters that share a learning rate, a schedule and a gradient clip.

    Attributes:
        params: Parameters; one that is already in an optimizer is refused.
        lr: Learning rate, before the schedule's factor.
        weight_decay: As in `Recipe`.
        schedule: Step since the group entered the optimizer -> factor of `lr`; None
            takes the recipe's. With a function that is no `Schedule` a cell that was
            stopped goes on from the beginning of an experience, not from within.
        clip: Largest norm of this group's gradient; None leaves it alone.
        name: Shown in logs.
    """

    params: list[nn.Parameter]
    lr: float
    weight_decay: float = 0.0
    schedule: Callable[[int], float] | None = None
    clip: float | None = None
    name: str = ""
