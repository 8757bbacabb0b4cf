"""IncreLoRA as a strategy: every map starts at rank 1, and the important ones grow."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from clbench.contract import (
    Among,
    Batch,
    Count,
    Experience,
    Fraction,
    Group,
    InputError,
    NonNegative,
    Positive,
    Problem,
    Recipe,
    Reference,
    Role,
    Run,
    Strategy,
    trainable,
)
from clbench.devices import divides, summed
from clbench.lowrank import (
    RATES,
    Components,
    Growing,
    GrowingAttention,
    GrowingLinear,
    inject,
)
from clbench.seeding import derive

from .allocation import Allocator, Importance
from .penalty import orthogonality
from .schedule import Plan, entered, plan


class Increlora(Strategy):
    """Low-rank updates that gain rank, one budget for the whole stream.

    After each backward pass every map is scored by |dW * dL/d(dW)|. At regular steps
    those of the highest smoothed score gain components which have learned in advance,
    until the total rank is what it would be if all maps had `rank`. New components
    enter the running optimizer with a warm-up of their own. A stream of several
    experiences gives each the part of the budget that its steps are of all; updates
    stay, and grow on.

    Args:
        rank: Average rank of all maps at the end of the stream; they start at 1.
        alpha: Factor of an update, divided by its present rank.
        add: Components that a map gains at once; None is rank / 2, as released.
        top: Maps that grow in a round; None spreads growth over about 15 rounds.
        interval: Steps between two rounds, and of every warm-up; None is such that
            growth ends at `until`.
        warmup: Steps before the first round, which is after them; None is one interval.
        until: Part of an experience after which growth has ended, where `interval` is
            None.
        beta1: Decay of the smoothed score.
        beta2: Decay of its uncertainty.
        orthogonal: Weight of the penalty that keeps components orthogonal.
        advance: Whether the components that a map will gain next learn in advance.
        restart: Whether new components have a warm-up of their own.
        dropout: Part of the input that updates do not see in training.
        released: Whether to do as the released code: a last round may overshoot the
            budget, and a map that is used more than once in a step is scored by the
            last use alone.
        roles: Which projections are adapted.
    """

    search = RATES
    reference = Reference(
        paper=(
            "Zhang, Li, Chen, Jiang, Wang and Qian: IncreLoRA: Incremental Parameter "
            "Allocation Method for Parameter-Efficient Fine-tuning. arXiv 2023"
        ),
        url="https://arxiv.org/abs/2308.12043",
        differs=(
            "The last round gives exactly what is left of the budget; a map used "
            "several times in a step is scored by the sum of its gradients (`released` "
            "undoes both). Intervals scale to the length of an experience. Gradients "
            "are clipped group by group. For one task after another, which the paper "
            "does not treat, the budget is shared out by steps."
        ),
    )

    def __init__(
        self,
        *,
        rank: Count = 2,
        alpha: Annotated[Positive, Among(16.0, 32.0)] = 16.0,
        add: Count | None = None,
        top: Count | None = None,
        interval: Count | None = None,
        warmup: Count | None = None,
        until: Fraction = 0.4,
        beta1: Fraction = 0.85,
        beta2: Fraction = 0.85,
        orthogonal: Annotated[NonNegative, Among(0.1, 0.3)] = 0.1,
        advance: bool = True,
        restart: bool = True,
        dropout: Fraction = 0.0,
        released: bool = False,
        roles: tuple[Role, ...] = ("q", "k", "v", "out", "fc1", "fc2"),
    ) -> None:
        self.rank = rank
        self.alpha = alpha
        self.add = add
        self.top = top
        self.interval = interval
        self.warmup = warmup
        self.until = until
        self.beta1 = beta1
        self.beta2 = beta2
        self.orthogonal = orthogonal
        self.advance = advance
        self.restart = restart
        self.dropout = dropout
        self.released = released
        self.roles = roles
        self._allocator: Allocator | None = None

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        """Inject updates of rank 1; everything else but the heads is frozen."""
        seed = derive(problem.seed, "increlora")
        self._generator = torch.Generator().manual_seed(seed)
        layers = inject(
            model,
            problem,
            roles=self.roles,
            rank=1,
            generator=self._generator,
            kind=partial(GrowingLinear, alpha=self.alpha, dropout=self.dropout),
            attention=partial(GrowingAttention, alpha=self.alpha),
        )
        self._maps: dict[str, Components] = {}
        for layer in layers:
            assert isinstance(layer, Growing)
            if self.dropout and isinstance(layer, GrowingAttention):
                raise InputError(
                    f"strategy.dropout={self.dropout:g}: '{layer.name}' is a packed "
                    f"attention, which reads its weights as a whole; leave q, k and v "
                    f"out of strategy.roles, or strategy.dropout=0"
                )
            self._maps |= layer.components
        for update in self._maps.values():
            update.summed = not self.released

    def before_experience(self, run: Run, experience: Experience) -> None:
        """Lay out the growth of this experience: its part of the budget."""
        for update in self._maps.values():
            # Of rows that are computed apart, gradients add up to that of one pass.
            update.summed = not self.released or divides(run.model)
        n = len(self._maps)
        budget = run.problem.budget
        done = run.total_step + experience.steps
        share = done / (budget.steps * budget.models)
        growth = plan(
            steps=experience.steps,
            maps=n,
            total=sum(update.rank for update in self._maps.values()),
            target=n + int(n * (self.rank - 1) * share + 1e-9),
            rank=self.rank,
            add=self.add,
            top=self.top,
            interval=self.interval,
            warmup=self.warmup,
            until=self.until,
        )
        self._allocator = Allocator(
            self._maps,
            growth,
            Importance(self.beta1, self.beta2),
            self._generator,
            advance=self.advance,
            released=self.released,
        )
        _log(run, "growth", self._maps)

    def groups(self, model: nn.Module, recipe: Recipe) -> list[Group]:
        """One group; what grows later joins as groups of their own."""
        return [self._group(trainable(model.parameters()), recipe, at=None)]

    def penalty(self, run: Run, output: Any, batch: Batch) -> Tensor | None:
        """Components of a map shall be orthogonal to each other."""
        if not self.orthogonal:
            return None
        return self.orthogonal * orthogonality(list(self._maps.values()))

    def before_step(self, run: Run) -> None:
        """Score the maps, and let the important ones grow."""
        allocator = self._allocator
        assert allocator is not None
        if not allocator.open:
            return
        if divides(run.model):
            # Of each map this process has seen what comes from its own rows.
            every = summed(run.model, [update.seen for update in self._maps.values()])
            for update, gradient in zip(self._maps.values(), every, strict=True):
                update.gradient = gradient
        scores = torch.stack([update.score() for update in self._maps.values()])
        for update in self._maps.values():
            update.forget()
        before = {name: update.rank for name, update in self._maps.items()}
        new = allocator.step(run.step, scores)
        if new:
            run.add_group(self._group(new, run.problem.recipe, at=run.step))
        grown = {n: u for n, u in self._maps.items() if u.rank > before[n]}
        _log(run, "growth", grown)

    def after_experience(self, run: Run, experience: Experience) -> None:
        """Log the ranks that were reached."""
        _log(run, "rank", self._maps)

    def state(self) -> dict[str, Any]:
        """Ranks, entries, smoothed scores, and where drawing stands."""
        if self._allocator is None:
            return {}
        importance = self._allocator.importance
        return {
            "ranks": {name: update.rank for name, update in self._maps.items()},
            "entries": {name: update.entries for name, update in self._maps.items()},
            "generator": self._generator.get_state(),
            "plan": self._allocator.state(),
            "importance": importance.I,
            "uncertainty": importance.U,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take them back: maps have as many entries as they had."""
        if not state:
            return
        for name, update in self._maps.items():
            rank, entries = state["ranks"][name], state["entries"][name]
            update.shape_as(rank, entries, advance=self.advance)
        self._generator.set_state(state["generator"])
        importance = Importance(self.beta1, self.beta2)
        importance.I, importance.U = state["importance"], state["uncertainty"]
        self._allocator = Allocator(
            self._maps,
            Plan(**state["plan"]),
            importance,
            self._generator,
            advance=self.advance,
            released=self.released,
        )

    def _group(
        self, params: list[nn.Parameter], recipe: Recipe, *, at: int | None
    ) -> Group:
        """What enters at a step; with the experience itself where that is None."""
        schedule = None
        if self._allocator is not None:
            growth = self._allocator.plan
            schedule = entered(
                at,
                warmup=growth.interval,
                steps=growth.steps,
                shape=recipe.schedule,
                restart=self.restart,
            )
        return Group(
            params=params,
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
            schedule=schedule,
            clip=recipe.clip,
            name="start" if at is None else f"step {at}",
        )


def _log(run: Run, what: str, maps: Mapping[str, Components]) -> None:
    for name, update in maps.items():
        run.log(f"{what}/{name}", update.rank)
