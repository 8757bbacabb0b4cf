"""What strategies keep of the past: examples drawn fairly, weights by their names."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from clbench.contract import Data
from clbench.past import Anchor, Memory, frozen_copy

CPU = torch.device("cpu")


class Numbers(Data):
    """Examples that are numbers from `start` on."""

    def __init__(self, start: int, count: int, width: int = 1) -> None:
        self.values = torch.arange(start, start + count).repeat(width, 1).T

    def __len__(self):
        return len(self.values)

    def __getitems__(self, indices):
        return {"x": self.values[torch.as_tensor(indices)]}

    def batches(self, seed, steps):
        yield from ([0] for _ in range(steps))


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def kept(memory: Memory) -> list[int]:
    parts = [part for part in memory.state()["parts"] if part]
    return [int(x) for part in parts for x in part["x"][:, 0]]


def test_the_reservoir_is_uniform_over_all_examples_of_all_experiences():
    counts: Counter[int] = Counter()
    rounds, size, total = 1500, 6, 30
    for seed in range(rounds):
        generator = draw(seed)
        memory = Memory(size, "reservoir")
        memory.add(Numbers(0, 12), generator)
        memory.add(Numbers(12, 3), generator)
        memory.add(Numbers(15, 15), generator)
        assert len(memory) == size
        assert len(set(kept(memory))) == size
        counts.update(kept(memory))
    expected = rounds * size / total
    # Chi-square with 29 degrees of freedom: 58.3 is its 99.9 % quantile.
    assert sum((counts[x] - expected) ** 2 / expected for x in range(total)) < 58.3


def test_the_balanced_memory_has_equal_shares():
    memory, generator = Memory(10, "balanced"), draw(0)
    for start, shares in ((0, [10]), (100, [5, 5]), (200, [4, 3, 3])):
        memory.add(Numbers(start, 50), generator)
        assert memory.counts() == shares
    old = [x for x in kept(memory) if x < 100]
    assert len(set(old)) == 4


def test_a_memory_that_is_not_full_keeps_everything():
    for select in ("reservoir", "balanced"):
        memory = Memory(100, select)
        memory.add(Numbers(0, 7), draw(0))
        assert sorted(kept(memory)) == list(range(7))


def test_draws_are_without_replacement_and_from_all_experiences():
    memory, generator = Memory(8, "balanced"), draw(0)
    assert list(memory.draw(4, generator, CPU)) == []
    memory.add(Numbers(0, 20), generator)
    memory.add(Numbers(50, 20), generator)
    seen = set()
    for _ in range(50):
        (batch,) = memory.draw(5, generator, CPU)
        values = batch["x"][:, 0].tolist()
        assert len(set(values)) == 5
        seen |= set(values)
    assert seen == set(kept(memory))


def test_examples_of_other_forms_come_as_batches_of_their_own():
    memory, generator = Memory(8, "balanced"), draw(0)
    memory.add(Numbers(0, 20, width=2), generator)
    memory.add(Numbers(50, 20, width=3), generator)
    widths = sorted(batch["x"].shape[1] for batch in memory.draw(8, generator, CPU))
    assert widths == [2, 3]


def test_state_gives_the_memory_back():
    memory, generator = Memory(6, "reservoir"), draw(0)
    memory.add(Numbers(0, 20), generator)
    other = Memory(6, "reservoir")
    other.load(memory.state())
    memory.add(Numbers(20, 20), draw(5))
    other.add(Numbers(20, 20), draw(5))
    assert kept(memory) == kept(other)


def test_anchors_know_parameters_by_their_names():
    model = nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    anchor = Anchor.of(model)
    assert set(anchor.values) == {"weight"}
    assert float(anchor.distance(model).detach()) == 0
    start = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.add_(2.0)
    distance = anchor.distance(model)
    assert float(distance.detach()) == pytest.approx(4.0 * 6)
    distance.backward()
    assert_close(model.weight.grad, torch.full((2, 3), 4.0))
    anchor.interpolate(model, 0.25)
    assert_close(model.weight.detach(), start + 0.5)


def test_a_frozen_copy_is_another_model_that_learns_nothing():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    copy = frozen_copy(model)
    with torch.no_grad():
        model[0].weight.zero_()
    assert copy[0].weight.any()
    assert not copy.training
    assert not any(p.requires_grad for p in copy.parameters())
