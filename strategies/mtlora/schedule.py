"""The learning rate over MTLoRA's training, as its released code steps it."""

from __future__ import annotations

from clbench.contract import Schedule

WARM = 1e-3
"""Rate at the start of the warm-up, as a part of the base rate (5e-7 of 5e-4)."""

FLOOR = 1e-2
"""Rate at the end, as a part of the base rate (5e-6 of 5e-4)."""


def cosine(steps: int, warmup: int) -> Schedule:
    """Step -> factor of the base rate: a linear warm-up, half a cosine to the floor.

    The released code sets the rate after a step from that step's number, so that the
    value in force lags by one: step 0 and step 1 both use the beginning of the warm-up.

    Args:
        steps: Of the whole training.
        warmup: Of the warm-up.
    """
    return Schedule(
        shape="cosine",
        steps=steps,
        warmup=warmup,
        start=WARM,
        floor=FLOOR,
        offset=-1,
        first=WARM,
    )
