"""The cell that is running, as its strategy sees it, and who watches it run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import torch
from torch import nn

from clbench.contract import Experience, Group, Problem, Run
from clbench.optim import Groups
from clbench.seeding import derive


class NotFinite(ArithmeticError):
    """The loss became NaN or infinite.

    Attributes:
        step: Optimizer steps of the cell that were done before.
    """

    def __init__(self, step: int, loss: float) -> None:
        super().__init__(f"the loss became {loss} at step {step}")
        self.step = step


class Session(Run):
    """The cell that is running, as its strategy sees it.

    Args:
        model: Prepared, on its device.
        problem: The scenario without its judge.
        device: Where tensors live.
        log: Takes a named number of the current step.

    Attributes:
        groups: The optimizer and its schedules; None where nothing is trained.
        step_flops: Floating-point operations of one step, forward and backward, in
            matrix products, convolutions and, on GPUs, attention; 0 until one was done.
        held_out: Examples of this experience that its steps leave out.
    """

    def __init__(
        self,
        model: nn.Module,
        problem: Problem,
        device: torch.device,
        log: Callable[[str, int, float], None],
    ) -> None:
        self.model = model
        self.problem = problem
        self.device = device
        self.rng = torch.Generator().manual_seed(derive(problem.seed, "strategy"))
        self.total_step = 0
        self.step_flops = 0
        self.groups: Groups | None = None
        self.held_out: set[int] = set()
        self._log = log

    def begin(self, experience: Experience) -> None:
        """Turn to `experience`; its optimizer is made later."""
        self.experience = experience
        self.step = 0
        self.steps = experience.steps
        self.groups = None
        self.held_out.clear()

    def optimize(self, groups: Sequence[Group]) -> None:
        """Make the optimizer of this experience; none where nothing is trained."""
        if any(group.params for group in groups):
            self.go_on(Groups(groups, self.problem.recipe, self.steps))

    def go_on(self, groups: Groups) -> None:
        """Take an optimizer that there is already."""
        self.groups = groups
        self.optimizer = groups.optimizer

    def advance(self) -> None:
        """One more step is done."""
        self.step += 1
        self.total_step += 1

    def add_group(self, group: Group) -> None:
        if self.groups is None:
            raise ValueError("there is no optimizer yet: give the group in `groups`")
        self.groups.add(group, self.step)

    def group(self, name: str) -> Group:
        if self.groups is None:
            raise ValueError("there is no optimizer, and so no group")
        return self.groups.named(name)

    def hold_out(self, rows: Collection[int]) -> None:
        self.held_out.update(rows)
        if len(self.held_out) >= len(self.experience.train):
            raise ValueError(
                f"all {len(self.experience.train)} examples of experience "
                f"'{self.experience.name}' would be held out"
            )

    def log(self, name: str, value: float) -> None:
        self._log(name, self.total_step, value)


class Watch:
    """What the loop tells whoever runs it; every method may be overridden."""

    def begun(self, run: Session) -> None:
        """The optimizer of an experience has been made."""

    def stepped(self, run: Session, losses: Sequence[float], examples: int) -> None:
        """Steps were done: their losses, oldest first, and their examples."""

    def evaluate(self, run: Session, boundary: bool) -> None:
        """It is time for a row of the matrix."""

    def safe(self, run: Session, boundary: bool) -> bool:
        """Whether to be told of this moment, at which the cell could be stopped.

        Args:
            run: Between two steps.
            boundary: Whether its experience is learned and judged.
        """
        return False

    def stopped(self, run: Session, boundary: bool) -> None:
        """The cell stands still, its losses told: what `safe` asked for."""
