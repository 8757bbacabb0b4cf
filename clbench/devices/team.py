"""The processes that compute one cell together, each some rows of every minibatch.

A launcher (`accelerate launch`, `torchrun`) starts them and says in their environment
who they are. The first one leads: it alone reads the command line, writes and shows;
the others are told each cell and compute what it computes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from clbench.contract import InputError
from clbench.devices import rows
from clbench.devices.scaling import Gradients
from clbench.launched import Lost

PATIENCE = timedelta(seconds=5)
"""How long a process that failed waits for the others to end the cell as well."""

FOREVER = timedelta(days=365)


class Team:
    """One process alone, which is all that most cells have.

    Attributes:
        rank: Number of this process, from 0.
        size: Of all.
        local: Its number on this machine.
    """

    rank, size, local = 0, 1, 0

    @property
    def leads(self) -> bool:
        """Whether this process writes and shows."""
        return self.rank == 0

    def own(self, count: int) -> range:
        """Of so many rows those that are computed here; all where there are too few."""
        if count < self.size:
            return range(count)
        return rows.divided(range(count), self.size)[self.rank]

    def gathered(self, tensor: Tensor, count: int) -> Tensor:
        """All `count` rows, of own ones."""
        return tensor

    def summed(self, tensors: Gradients, like: Sequence[Tensor]) -> Gradients:
        """Sums over all processes; None where no process has one.

        Args:
            tensors: Own ones; None counts as 0.
            like: Of each the shape and the type.
        """
        return tensors

    def total(self, number: int) -> int:
        """The sum of everybody's `number`."""
        return number

    def share(self, model: nn.Module) -> None:
        """Let all have the weights of the first process.

        They are equal but for what a device rounds at random.
        """

    def agree(self, name: str, text: str) -> None:
        """Wait for all to get here.

        Args:
            name: Of this moment, which comes once in a cell.
            text: What must be the same everywhere.

        Raises:
            Lost: It is another one here.
        """

    def begin(self, cell: str) -> None:
        """Tell the others of the next cell."""

    def ended(self, *, failed: bool) -> bool:
        """Say that the cell has ended here; whether all can go on."""
        return True

    def end(self) -> None:
        """Tell the others that there is no further cell."""


ALONE = Team()


class Together(Team):
    """This process and others.

    Args:
        kind: Of the device, `cpu` or `cuda`, which the first process gives; None waits
            until it has.

    Raises:
        InputError: There are more processes on this machine than GPUs.
    """

    def __init__(self, kind: str | None) -> None:
        self.local = int(os.environ["LOCAL_RANK"])
        self._store, self.rank, self.size = next(rendezvous("env://"))
        self._store.set_timeout(FOREVER)
        self._cells = 0
        if kind is not None:
            self._store.set("clbench/kind", kind)
        with _in_touch():
            cuda = self._store.get("clbench/kind") == b"cuda"
        if cuda:
            have = torch.cuda.device_count()
            if self.local >= have:
                raise InputError(
                    f"process {self.rank + 1} of {self.size} has no GPU of its own: "
                    f"its machine has {have}; start fewer, or compute on device=cpu"
                )
            torch.cuda.set_device(self.local)
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if cuda else "gloo",
            store=PrefixStore("clbench/group", self._store),
            rank=self.rank,
            world_size=self.size,
        )

    def gathered(self, tensor: Tensor, count: int) -> Tensor:
        """All `count` rows, of own ones."""
        parts = rows.divided(range(count), self.size)
        longest = max(map(len, parts))
        truth = tensor.dtype == torch.bool
        given = tensor.to(torch.uint8) if truth else tensor.contiguous()
        if len(given) < longest:
            fill = given.new_zeros(longest - len(given), *given.shape[1:])
            given = torch.cat([given, fill])
        made = [torch.empty_like(given) for _ in parts]
        with _in_touch():
            dist.all_gather(made, given)
        whole = torch.cat(
            [part[: len(own)] for part, own in zip(made, parts, strict=True)]
        )
        return whole.to(torch.bool) if truth else whole

    def summed(self, tensors: Gradients, like: Sequence[Tensor]) -> Gradients:
        """Sums over all processes; None where no process has one."""
        have = torch.tensor([tensor is not None for tensor in tensors]).to(torch.int32)
        with _in_touch():
            dist.all_reduce(have)
        known = [place for place, count in enumerate(have.tolist()) if count]
        found: list[Tensor | None] = [None] * len(tensors)
        kinds = dict.fromkeys(like[place].dtype for place in known)
        for kind in kinds:
            places = [place for place in known if like[place].dtype == kind]
            flat = torch.cat([_flat(tensors[p], like[p]) for p in places])
            with _in_touch():
                dist.all_reduce(flat)
            cut = flat.split([like[place].numel() for place in places])
            for place, values in zip(places, cut, strict=True):
                found[place] = values.view_as(like[place])
        return found

    def total(self, number: int) -> int:
        """The sum of everybody's `number`."""
        value = torch.tensor(number, dtype=torch.int64)
        with _in_touch():
            dist.all_reduce(value)
        return int(value)

    def share(self, model: nn.Module) -> None:
        """Let all have the weights of the first process."""
        with torch.no_grad(), _in_touch():
            for tensor in (*model.parameters(), *model.buffers()):
                given = tensor.detach().clone(memory_format=torch.contiguous_format)
                dist.broadcast(given, 0)
                if not torch.equal(given, tensor):
                    tensor.copy_(given)

    def agree(self, name: str, text: str) -> None:
        """Wait for all to get here; see `Team`."""
        key = f"clbench/{self._cells}/{name}"
        if self.leads:
            self._store.set(key, text)
        with _in_touch():
            said = self._store.get(key).decode()
            dist.barrier()
        if said != text:
            raise Lost(f"{name}: '{text}' here and '{said}' in the first process")

    # --- what the first one tells ---

    def begin(self, cell: str) -> None:
        """Tell the others of the next cell."""
        self._cells += 1
        self._store.set(f"clbench/cell/{self._cells}", cell)

    def end(self) -> None:
        """Tell the others that there is no further cell."""
        self.begin("")
        with _in_touch():
            dist.barrier()
        dist.destroy_process_group()

    # --- what the others ask ---

    def next(self) -> str | None:
        """The next cell; None where there is none."""
        self._cells += 1
        with _in_touch():
            cell: str = self._store.get(f"clbench/cell/{self._cells}").decode()
            if not cell:
                dist.barrier()
        if cell:
            return cell
        dist.destroy_process_group()
        return None

    def ended(self, *, failed: bool) -> bool:
        """Say that the cell has ended here; whether all can go on.

        They can if nobody has failed, or if all have: what is wrong with a cell is so
        in every process.
        """
        mine = f"clbench/ended/{self._cells}/{self.rank}"
        self._store.set(mine, "failed" if failed else "ok")
        if not failed:
            return True
        others = range(1, self.size) if self.leads else range(1)
        keys = [f"clbench/ended/{self._cells}/{rank}" for rank in others]
        try:
            self._store.wait(keys, PATIENCE)
        except RuntimeError:
            return False
        return True


@contextmanager
def _in_touch() -> Iterator[None]:
    """Within, what fails is another process's end."""
    try:
        yield
    except RuntimeError as error:
        raise Lost(
            "another process of this cell has ended, whose own line says why"
        ) from error


def _flat(tensor: Tensor | None, like: Tensor) -> Tensor:
    return like.new_zeros(like.numel()) if tensor is None else tensor.reshape(-1)
