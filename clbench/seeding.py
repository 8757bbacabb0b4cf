"""Seeds for every purpose, derived from one: no two purposes share a random stream."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager


def derive(seed: int, *purpose: str | int) -> int:
    """A seed in [0, 2^63) for `purpose`, the same in every process.

    Args:
        seed: The cell's seed.
        purpose: Words and numbers that name the use, such as `("augment", 0, 17)`.
    """
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed the global generators, which dropout draws from; give them back after."""
    import numpy as np
    import torch

    python, array = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(derive(seed, "torch"))
        np.random.seed(derive(seed, "numpy") % 2**32)
        random.seed(derive(seed, "python"))
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(array)
