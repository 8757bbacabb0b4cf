"""What there is to compute with."""

from __future__ import annotations

import os

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Variables from which libraries take how many threads to start with."""


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load() -> float | None:
    """Processes that computed in the last minute, for each processor.

    Those of everybody count. None where the system does not say.
    """
    if not hasattr(os, "getloadavg"):
        return None
    return os.getloadavg()[0] / cores()


def gpus(device: str) -> list[str]:
    """The GPUs that cells of `device` take turns on, as CUDA_VISIBLE_DEVICES has them.

    Empty where cells run on processors, or on an accelerator that is not CUDA's.
    """
    if device not in ("auto", "cuda"):
        return []
    import torch  # slow to import

    # Counting makes no context, which would keep memory of each.
    count = torch.cuda.device_count()
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    named = [name.strip() for name in given.split(",") if name.strip()]
    return (named or [str(n) for n in range(count)])[:count]
