"""Many tests at once: p values that stay honest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ALPHA = 0.05
"""How often a family of tests may see a difference where there is none."""


def holm(p: Array) -> Array:
    """(m,) p values after Holm's correction, in the order of `p`.

    The k-th smallest of m is multiplied by m - k + 1, and none is below a smaller one
    before it. Calling those below `ALPHA` significant errs anywhere among the m at
    most at the rate of `ALPHA`, whatever depends on what.

    Source: Holm, A simple sequentially rejective multiple test procedure, 1979.

    Args:
        p: (m,) each in [0, 1].
    """
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    factors = np.arange(len(p), 0, -1)
    corrected = np.maximum.accumulate(p[order] * factors).clip(max=1.0)
    found = np.empty_like(p)
    found[order] = corrected
    return found
