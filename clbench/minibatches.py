"""The minibatches of an experience, in an order that the seed fixes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from clbench.checkpoint.state import Resumed
from clbench.contract import Data, Experience
from clbench.seeding import derive


def loader(
    experience: Experience,
    seed: int,
    held_out: Collection[int] = (),
    *,
    resumed: Resumed | None = None,
) -> DataLoader[Any]:
    """Minibatches of `experience`, each a mapping of tensors on the CPU.

    Args:
        experience: Whose data; it chooses the indices of its `steps` batches.
        seed: The cell's seed.
        held_out: Examples that the next one takes the place of; read when the first
            minibatch is asked for.
        resumed: Where to go on within it: minibatches of steps that were done are left
            out, and not fetched.
    """
    order = derive(seed, "batches", experience.index)
    batches = _Batches(
        experience.train,
        order,
        experience.steps,
        held_out,
        resumed if resumed is not None and resumed.within else None,
    )
    return DataLoader(
        experience.train,  # type: ignore[arg-type]
        batch_sampler=batches,  # type: ignore[arg-type]
        collate_fn=_as_is,
    )


class _Batches:
    """The indices of each minibatch; a function of the seed and what is held out."""

    def __init__(
        self,
        data: Data,
        seed: int,
        steps: int,
        held_out: Collection[int],
        resumed: Resumed | None,
    ) -> None:
        self._data, self._seed, self._steps = data, seed, steps
        self._held_out, self._resumed = held_out, resumed

    def __iter__(self) -> Iterator[Sequence[int]]:
        batches = iter(self._data.batches(self._seed, self._steps))
        if self._resumed is not None:
            batches = islice(batches, self._resumed.position.step, None)
            # Here, as the loader draws from torch's generator when it begins.
            self._resumed.draw()
        for batch in batches:
            held = self._held_out
            yield [self._instead(row) for row in batch] if held else batch

    def _instead(self, row: int) -> int:
        while row in self._held_out:
            row = (row + 1) % len(self._data)
        return row

    def __len__(self) -> int:
        done = 0 if self._resumed is None else self._resumed.position.step or 0
        return self._steps - done


def batch_size(batch: Any) -> int:
    """Number of examples in `batch`: the length of its first tensor."""
    for value in batch.values():
        if isinstance(value, Tensor):
            return len(value)
    return 0


def _as_is(batch: Any) -> Any:
    return batch
