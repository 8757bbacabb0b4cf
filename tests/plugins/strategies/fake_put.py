"""A strategy that needs a kernel that has no deterministic version."""

import torch

from clbench.contract import Count, Strategy


class Put(Strategy):
    """Writes to one place twice, which ends in any order.

    Args:
        at: Step at which it does.
    """

    def __init__(self, *, at: Count = 2) -> None:
        self.at = at

    def before_step(self, run):
        if run.step == self.at:
            torch.zeros(2).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
