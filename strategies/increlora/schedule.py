"""When ranks grow and by how much, and how fast what has just grown is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

from clbench.contract import InputError, Schedule, Shape

ROUNDS = 15
"""Rounds of growth where nobody says: the published runs have 6 to 36."""

ADDED = {2: 1, 4: 2, 6: 3, 8: 4}
"""Average rank -> components that a map gains at once, as released."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Growth within one experience.

    Attributes:
        target: Total rank of all maps at which growth ends.
        top: Maps that grow in one round.
        add: Components that each of them gains.
        interval: Steps between two rounds.
        warmup: Steps after which the first round may be.
        steps: T, of the experience.
    """

    target: int
    top: int
    add: int
    interval: int
    warmup: int
    steps: int

    def grows(self, step: int) -> bool:
        """Whether step t, from 0, is one of a round: t > warmup, t a multiple."""
        return step > self.warmup and step % self.interval == 0

    @property
    def rounds(self) -> list[int]:
        """All steps at which there could be a round."""
        return [step for step in range(self.steps) if self.grows(step)]


def plan(
    *,
    steps: int,
    maps: int,
    total: int,
    target: int,
    rank: int,
    add: int | None = None,
    top: int | None = None,
    interval: int | None = None,
    warmup: int | None = None,
    until: float = 0.4,
) -> Plan:
    """What is given, and for the rest what reaches the target early enough.

    Args:
        steps: T, of the experience.
        maps: n, how many grow.
        total: Their ranks now, added up.
        target: What they shall be.
        rank: Average that the whole stream aims at.
        add: Components gained at once; None is by `ADDED`, else half of `rank`.
        top: Maps in one round; None spreads growth over about `ROUNDS` rounds.
        interval: Steps between rounds; None ends growth at about `until` of T.
        warmup: Steps before rounds; None is one interval.
        until: Part of T, see there.

    Raises:
        InputError: The target cannot be reached within the experience.
    """
    missing = target - total
    add = add or ADDED.get(rank, max(1, rank // 2))
    window = int(until * steps)
    if top is None:
        fitting = max(1, min(ROUNDS, window // (interval or 1) - 1))
        top = min(maps, math.ceil(missing / (add * fitting)) or 1)
    needed = math.ceil(missing / (add * top))
    if interval is None:
        interval = max(1, window // ((needed or ROUNDS) + 1))
    made = Plan(
        target=target,
        top=top,
        add=add,
        interval=interval,
        warmup=interval if warmup is None else warmup,
        steps=steps,
    )
    if len(made.rounds) < needed:
        raise InputError(
            f"increlora cannot reach a total rank of {target} in an experience of "
            f"{steps} steps: it takes {needed} rounds of growth, and there are "
            f"{len(made.rounds)} (strategy.interval={made.interval}, "
            f"strategy.warmup={made.warmup}); take more steps, a shorter interval, or "
            f"more maps in a round (strategy.top)"
        )
    return made


def entered(
    at: int | None,
    *,
    warmup: int,
    steps: int,
    shape: Shape = "linear",
    restart: bool = True,
) -> Schedule:
    """Schedule of what entered the optimizer at step a: steps since then -> factor.

    With lambda(s; w, T) = s / w below w, then (T - s) / (T - w), never below 0: the
    whole rate at a itself, where it has no gradient yet, then
    lambda(t - a - 1; w, T - a - 1), a warm-up of its own. Without `restart`, and for
    what is there from the beginning (None), lambda(t; w, T). Other shapes than the
    linear one of the released code fall differently after w.
    """
    if at is None or not restart:
        return Schedule(shape=shape, steps=steps, warmup=warmup, offset=at or 0)
    return Schedule(
        shape=shape, steps=steps - at - 1, warmup=warmup, offset=-1, first=1.0
    )
