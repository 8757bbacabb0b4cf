"""Examples of earlier experiences, kept and drawn at random."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from clbench.contract import Batch, Data, Experience

Select = Literal["reservoir", "balanced"]
"""Which examples stay: all ever seen with equal probability, or equally many of each
experience."""

CHUNK = 256
"""Examples that are fetched at once."""


class Memory:
    """A memory of limited size; its examples are as they were before augmentation.

    Args:
        size: Examples that it holds at the most.
        select: Which examples stay.
    """

    def __init__(self, size: int, select: Select) -> None:
        self.size = size
        self.select = select
        self._parts: list[dict[str, Tensor]] = []
        self._seen = 0

    def __len__(self) -> int:
        return sum(map(_length, self._parts))

    def counts(self) -> list[int]:
        """Number of examples of each experience."""
        return [_length(part) for part in self._parts]

    def add(self, data: Data, generator: torch.Generator) -> None:
        """Take examples of an experience, all of which were seen.

        Args:
            data: Of the experience.
            generator: Draws which stay, on the CPU.
        """
        if self.select == "reservoir":
            kept, new = self._reservoir(len(data), generator)
        else:
            kept, new = self._balanced(len(data), generator)
        self._parts = [
            {name: values[rows] for name, values in part.items()}
            for part, rows in zip(self._parts, kept, strict=True)
        ]
        self._parts.append(_fetch(data, new))
        self._seen += len(data)

    def draw(
        self, count: int, generator: torch.Generator, device: torch.device
    ) -> Iterator[Batch]:
        """`count` examples, or all where there are fewer, drawn without replacement.

        They come as one batch where examples of all experiences have the same form,
        else as one batch for each form.
        """
        rows = torch.randperm(len(self), generator=generator)[:count]
        chosen = []
        for part in self._parts:
            here = rows[(rows >= 0) & (rows < _length(part))]
            rows = rows - _length(part)
            if len(here):
                chosen.append({name: values[here] for name, values in part.items()})
        for group in _alike(chosen):
            names = group[0]
            yield {
                name: torch.cat([part[name] for part in group]).to(device)
                for name in names
            }

    def state(self) -> dict[str, Any]:
        """All that `load` needs."""
        return {"parts": [dict(part) for part in self._parts], "seen": self._seen}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""
        self._parts = [dict(part) for part in state["parts"]]
        self._seen = state["seen"]

    def _reservoir(
        self, count: int, generator: torch.Generator
    ) -> tuple[list[Tensor], Tensor]:
        """Rows that stay of each part, and rows of the new data (Vitter's R)."""
        old = [(p, row) for p, n in enumerate(self.counts()) for row in range(n)]
        places: list[tuple[int, int]] = list(old)
        for row in range(count):
            if len(places) < self.size:
                places.append((-1, row))
                continue
            seen = self._seen + row + 1
            place = int(torch.randint(seen, (1,), generator=generator))
            if place < self.size:
                places[place] = (-1, row)
        rows = {part: sorted(r for p, r in places if p == part) for part, _ in places}
        kept = [
            torch.tensor(rows.get(p, []), dtype=torch.long)
            for p in range(len(self._parts))
        ]
        return kept, torch.tensor(rows.get(-1, []), dtype=torch.long)

    def _balanced(
        self, count: int, generator: torch.Generator
    ) -> tuple[list[Tensor], Tensor]:
        """Equal shares; what one experience cannot fill is left to nobody."""
        shares = _shares(self.size, len(self._parts) + 1)
        *old, new = (
            torch.randperm(n, generator=generator)[:share].sort().values
            for n, share in zip([*self.counts(), count], shares, strict=True)
        )
        return old, new


def shown(
    experience: Experience, seed: int, batches: int, device: torch.device
) -> Iterator[Batch]:
    """Some training batches of `experience`, not augmented, on `device`."""
    for indices in experience.train.batches(seed, batches):
        batch = experience.train.__getitems__(indices)
        yield {name: _to(value, device) for name, value in batch.items()}


def _shares(size: int, parts: int) -> list[int]:
    each, rest = divmod(size, parts)
    return [each + (number < rest) for number in range(parts)]


def _fetch(data: Data, rows: Tensor) -> dict[str, Tensor]:
    """The examples at `rows`, read in chunks."""
    if not len(rows):
        return {}
    read = [data.__getitems__(part.tolist()) for part in rows.split(CHUNK)]
    return {name: torch.cat([part[name] for part in read]) for name in read[0]}


def _length(part: Mapping[str, Tensor]) -> int:
    return len(next(iter(part.values()))) if part else 0


def _alike(parts: Sequence[dict[str, Tensor]]) -> list[list[dict[str, Tensor]]]:
    """`parts` in groups that can be joined: the same names, shapes and types."""
    groups: dict[Any, list[dict[str, Tensor]]] = {}
    for part in parts:
        form = tuple((n, v.shape[1:], v.dtype) for n, v in sorted(part.items()))
        groups.setdefault(form, []).append(part)
    return list(groups.values())


def _to(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value
