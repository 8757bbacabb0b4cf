"""What a cell costs: parameters, seconds, memory and floating-point operations."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn


class Parameters:
    """Counts of trainable parameters, told apart by where they come from.

    Args:
        model: Before a strategy touched it: what it has now is the backbone's.
        heads: Parameters that are trained whatever the strategy.
    """

    def __init__(self, model: nn.Module, heads: Iterable[nn.Parameter]) -> None:
        self._backbone = {id(p): p for p in model.parameters()}
        self._heads = {id(p): p for p in heads}
        self._largest = {"adapter": 0, "other": 0, "head": 0}
        self.total = sum(p.numel() for p in self._backbone.values())

    def count(self, model: nn.Module, trained: Iterable[nn.Parameter]) -> None:
        """Note what is trained now; the largest count of the cell is kept.

        `adapter` counts parameters that a strategy brought, `other` those of the
        backbone, `head` those of the heads.
        """
        now = dict.fromkeys(self._largest, 0)
        for parameter in {id(p): p for p in trained}.values():
            if id(parameter) in self._heads:
                now["head"] += parameter.numel()
            elif id(parameter) in self._backbone:
                now["other"] += parameter.numel()
            else:
                now["adapter"] += parameter.numel()
        self._largest = {k: max(v, now[k]) for k, v in self._largest.items()}
        self.total = max(self.total, sum(p.numel() for p in model.parameters()))

    def go_on(self, largest: Mapping[str, int], total: int) -> None:
        """Take over what an earlier process counted of the same cell."""
        self._largest = {k: max(v, largest[k]) for k, v in self._largest.items()}
        self.total = max(self.total, total)

    @property
    def trainable(self) -> dict[str, int]:
        """The largest number trained at once: `adapter`, `other`, `head`."""
        return dict(self._largest)


class Clock:
    """Seconds spent on each activity, and in all."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.perf_counter()
        self._running: dict[str, float] = {}
        self._earlier = 0.0

    @contextmanager
    def measure(self, activity: str) -> Iterator[None]:
        """Add the time spent inside to `activity`."""
        start = self._running[activity] = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[activity] = self.seconds.get(activity, 0.0) + spent
            del self._running[activity]

    @property
    def total(self) -> float:
        """Seconds since this clock was made, and those of earlier processes."""
        return self._earlier + time.perf_counter() - self._start

    def so_far(self) -> dict[str, float]:
        """Seconds of each activity, of those that go on as well."""
        found, now = dict(self.seconds), time.perf_counter()
        for activity, start in self._running.items():
            found[activity] = found.get(activity, 0.0) + now - start
        return found

    def go_on(self, seconds: Mapping[str, float], total: float) -> None:
        """Add what an earlier process spent on the same cell."""
        for activity, spent in seconds.items():
            self.seconds[activity] = self.seconds.get(activity, 0.0) + spent
        self._earlier += total


class PeakMemory:
    """Largest memory in bytes since this was made.

    On CUDA, what the allocator handed out; on the CPU, the resident size of the whole
    process. Where the system cannot start that count anew (anything but Linux), it
    covers the process since its start.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        elif _CLEAR.exists():
            _CLEAR.write_text("5")

    @property
    def bytes(self) -> int:
        """The peak so far."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        if _STATUS.exists():
            for line in _STATUS.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        import resource  # POSIX only, hence not at the top

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
