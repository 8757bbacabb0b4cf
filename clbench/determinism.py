"""Kernels that give the same bits every time, or an error where there is none.

Without them cells are equal to the bit on one machine as far as its kernels are: on
CPUs that is so; on GPUs sums are added up in another order each time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
"""Products of matrices on CUDA are deterministic only with a workspace of its own."""

WORKSPACE = ":4096:8"
"""The larger of the two values that CUDA's manual names: 24 MiB, and faster."""

_NONE = re.compile(r"(\S+) does not have a deterministic implementation")


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Within, torch takes deterministic kernels alone; a kernel without one raises.

    Args:
        wanted: False changes nothing.
    """
    if not wanted:
        yield
        return
    import torch

    # CUDA's library reads it when it is first used, so it stays for the process.
    os.environ.setdefault(VARIABLE, WORKSPACE)
    cudnn = torch.backends.cudnn
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    flags = cudnn.deterministic, cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic, cudnn.benchmark = flags


def enabled() -> bool:
    """Whether torch takes deterministic kernels alone, now."""
    import torch

    return (
        torch.are_deterministic_algorithms_enabled()
        and not torch.is_deterministic_algorithms_warn_only_enabled()
    )


def missing(error: BaseException) -> str | None:
    """A line about a kernel without a deterministic version; None of other errors."""
    found = _NONE.search(str(error))
    if isinstance(error, RuntimeError) and found:
        return (
            f"{found[1]} has no deterministic kernel on this device: run the cell "
            f"without deterministic=true, or on another device"
        )
    return None
