"""How a model computes where it is not as usual: precision, parts, several devices.

Rows of a minibatch are divided, never losses: whoever calls the model gives it all rows
and is given the outputs of all of them, with gradients of all. Losses, strategies and
judges need to know nothing of it.
"""

from clbench.devices.device import pick_device
from clbench.devices.plan import (
    Plan,
    arithmetic,
    divides,
    methods_of,
    repeated,
    summed,
    whole,
)
from clbench.devices.team import ALONE, Team

__all__ = [
    "ALONE",
    "Plan",
    "Team",
    "arithmetic",
    "divides",
    "methods_of",
    "pick_device",
    "repeated",
    "summed",
    "whole",
]
