"""What a scenario's model may say of its tasks, for strategies that treat them apart.

All are optional attributes of the `nn.Module` that `Scenario.model` gives:

- `branches() -> Mapping[str, tuple[str, ...]]`, where every example is an example of
  all tasks (dense multi-task): paths of the modules at which streams may part, each
  with the tasks that read from there. The linear maps within such a module whose role
  is `out`, `fc1` or `fc2` may give, for an input of B examples, 1 + T times as many
  along the first axis: the shared stream first, then that of each task in the order
  given; the following maps get them so. The model hands each task's stream to its
  decoder, and the shared one on. Where nobody branches, tasks read the shared stream.
- `route: Route`, where every example belongs to one task.
- `rowwise: Sequence[str]`, names of methods that compute row by row: every tensor that
  they are given or give has a row for each example along its first axis, and a row
  depends on no other. They hold what is expensive and do not call each other. Rows may
  then be computed apart: in parts, or on several devices. Where a model names none, its
  `forward` is such a method if the scenario says `per_example`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Route:
    """To which task each example belongs that the model is about to compute.

    The model says so, layers of a strategy read it.

    Attributes:
        task: (B,) positions in `Problem.tasks`, -1 where the task is not known; None
            where that of no example is. A layer that sees more than B rows, such as
            windows of images, has equally many of each example, one after another.
        read: Whether a layer of the model depends on it: set by the strategy. What is
            computed may then be kept for one task only.
    """

    def __init__(self) -> None:
        self.task: Tensor | None = None
        self.read = False

    @contextmanager
    def of(self, task: Tensor | None) -> Iterator[None]:
        """Within, examples belong to `task`."""
        before, self.task = self.task, task
        try:
            yield
        finally:
            self.task = before

    def kept(self) -> Callable[[], AbstractContextManager[None]]:
        """Makes a context in which it is what it is now: layers compute again in it."""
        return partial(self.of, self.task)
