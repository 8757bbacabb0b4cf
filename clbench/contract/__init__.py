"""The contract between scenarios, strategies and the engine.

Every hook stands here once, with its moment and its meaning. A scenario states what is
learned and judges it; a strategy says how to learn it; the engine calls both. Nothing
here imports torch, so that reading the contract costs nothing.
"""

from clbench.contract.errors import InputError, nearest
from clbench.contract.model import Route
from clbench.contract.scenario import (
    Data,
    Experience,
    Layer,
    Problem,
    Scenario,
)
from clbench.contract.strategy import (
    HOOKS,
    Reference,
    Run,
    Strategy,
    trainable,
)
from clbench.contract.tuning import Among, Between, Space, Tuning
from clbench.contract.values import (
    Batch,
    Budget,
    Card,
    Count,
    Fraction,
    Group,
    Metric,
    NonNegative,
    Positive,
    Recipe,
    Result,
    Role,
    Schedule,
    Shape,
)

__all__ = [
    "HOOKS",
    "Among",
    "Batch",
    "Between",
    "Budget",
    "Card",
    "Count",
    "Data",
    "Experience",
    "Fraction",
    "Group",
    "InputError",
    "Layer",
    "Metric",
    "NonNegative",
    "Positive",
    "Problem",
    "Recipe",
    "Reference",
    "Result",
    "Role",
    "Route",
    "Run",
    "Scenario",
    "Schedule",
    "Shape",
    "Space",
    "Strategy",
    "Tuning",
    "nearest",
    "trainable",
]
