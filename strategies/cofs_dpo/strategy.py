"""COFS-DPO as a strategy: OFS-DPO in every domain, fresh each time, then one sum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from clbench.contract import (
    Among,
    Batch,
    Count,
    Experience,
    NonNegative,
    Positive,
    Reference,
    Role,
    Run,
)
from clbench.lowrank import Pair, combine, compress
from clbench.seeding import derive

from ..ofs_dpo import OfsDpo
from .weights import candidates, given, uniform


class CofsDpo(OfsDpo):
    """The module that was F at the end of each domain is kept; the model is their sum.

    Every domain starts with fresh modules on the frozen base. After it the model
    computes with sum_i weight_i B_i A_i, exactly. Within a domain its own module F is
    the model. Heads, where there are any, are not combined: they go on learning.

    Args:
        rank: Rank r of both modules.
        scale: Factor of the updates, as it stands, never divided by the rank.
        roles: Which projections are adapted.
        alpha: Weight of the chasing term; 0 trains the modules apart.
        ratio: Learning rate of the slow module over that of the fast one.
        interval: Steps after which the roles are looked at; None leaves module 1 F.
        shared_init: Whether both modules start with one draw of A.
        lr_follows: Whether the learning rates stay with the `module`s when roles are
            exchanged, or the fast one is always that of the `role` F.
        clamp: Largest absolute gap of merits that the chasing term sees; None: any.
        clip: Largest gradient norm, of each module by itself, where the recipe names
            none; None leaves gradients alone.
        together: Whether both modules share one forward pass, of a batch of twice the
            size, where the scenario's model allows it; else there are two passes.
        weights: `uniform`; a number for each domain, such as [0.3,0.7], of which those
            of the domains so far are scaled to sum to 1; or `chosen`: those of a grid
            with the least loss, mean over domains, on examples of every domain that
            were held out of its training.
        grid: Chosen weights are multiples of 1 / grid.
        held_out: Examples of each domain that are held out where weights are chosen, at
            the most a fifth of it.
        compress: Rank that the sum is cut to by its singular values; None keeps it.
    """

    reference = Reference(
        paper=OfsDpo.reference.paper if OfsDpo.reference else "",
        url="https://arxiv.org/abs/2406.05534",
        differs=(
            "A reconstruction, as ofs_dpo is. That the fast modules of all domains are "
            "combined linearly is the abstract's. Ours: updates are summed, not their "
            "factors; every domain starts anew on the frozen base; weights are equal, "
            "given, or chosen on held-out examples."
        ),
    )

    def __init__(
        self,
        *,
        rank: Count = 16,
        scale: Positive = 1.0,
        roles: tuple[Role, ...] = ("q", "v"),
        alpha: Annotated[NonNegative, Among(0.1, 0.5, 1.0)] = 0.5,
        ratio: Annotated[Positive, Among(0.1, 0.2, 0.5)] = 0.2,
        interval: Count | None = 50,
        shared_init: bool = True,
        lr_follows: Literal["module", "role"] = "module",
        clamp: Positive | None = None,
        clip: Positive | None = 1.0,
        together: bool = True,
        weights: Literal["uniform", "chosen"] | tuple[NonNegative, ...] = "uniform",
        grid: Count = 4,
        held_out: Count = 64,
        compress: Count | None = None,
    ) -> None:
        super().__init__(
            rank=rank,
            scale=scale,
            roles=roles,
            alpha=alpha,
            ratio=ratio,
            interval=interval,
            shared_init=shared_init,
            lr_follows=lr_follows,
            clamp=clamp,
            clip=clip,
            together=together,
        )
        self.weights = weights
        self.grid = grid
        self.held_out = held_out
        self.compress = compress
        self._modules_of: list[dict[str, Pair]] = []
        self._held_out: list[list[dict[str, Any]]] = []
        self._chosen: tuple[float, ...] = ()

    def before_experience(self, run: Run, experience: Experience) -> None:
        """Fresh modules; examples are held out where weights shall be chosen."""
        super().before_experience(run, experience)
        if isinstance(self.weights, tuple):
            given(self.weights, experience.index + 1)
        if self._modules_of:
            self._chosen = ()
            self._turn.lead = 0
            seed = derive(run.problem.seed, "cofs_dpo", experience.index)
            generator = torch.Generator().manual_seed(seed)
            for layer in self._layers:
                layer.renew(generator)
        if self.weights == "chosen":
            self._hold_out(run, experience)

    def after_experience(self, run: Run, experience: Experience) -> None:
        """Keep the module in role F, and let the sum of all be the model."""
        lead = self._turn.lead
        self._modules_of.append(
            {x.name: _detached(x.update(lead)) for x in self._layers}
        )
        self._chosen = self._weights(run)
        self._combine(self._chosen)
        for number, weight in enumerate(self._chosen):
            run.log(f"lambda/{number + 1}", weight)

    def state(self) -> dict[str, Any]:
        """The modules of earlier domains, their weights, what was held out."""
        return {
            **super().state(),
            "modules": [
                {name: list(pair) for name, pair in module.items()}
                for module in self._modules_of
            ],
            "weights": list(self._chosen),
            "held out": [list(part) for part in self._held_out],
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take them back; between domains the model is the sum again."""
        super().load_state(state)
        self._modules_of = [
            {name: (A, B) for name, (A, B) in module.items()}
            for module in state["modules"]
        ]
        self._held_out = [list(part) for part in state["held out"]]
        self._chosen = tuple(state["weights"])
        if self._chosen:
            self._combine(self._chosen)

    def _combine(self, weights: tuple[float, ...]) -> None:
        """Let every layer compute with the sum of the domains' updates."""
        for layer in self._layers:
            parts = [module[layer.name] for module in self._modules_of]
            A, B = combine(parts, weights)
            if self.compress is not None:
                A, B = compress(A, B, self.compress)
            layer.fixed = A.to(layer.A), B.to(layer.B)

    def _weights(self, run: Run) -> tuple[float, ...]:
        count = len(self._modules_of)
        if isinstance(self.weights, tuple):
            return given(self.weights, count)
        if self.weights == "uniform" or count == 1:
            return uniform(count)
        tried = {w: self._loss(run, w) for w in candidates(count, self.grid)}
        return min(tried, key=tried.__getitem__)

    @torch.no_grad()
    def _loss(self, run: Run, weights: tuple[float, ...]) -> float:
        """Mean over domains of the loss on what was held out."""
        self._combine(weights)
        training = run.model.training
        run.model.eval()
        means = []
        for part in self._held_out:
            batches = [_on(run.device, batch) for batch in part]
            losses = [run.problem.loss(run.model(batch), batch) for batch in batches]
            means.append(torch.stack(losses).mean())
        run.model.train(training)
        return float(torch.stack(means).mean())

    def _hold_out(self, run: Run, experience: Experience) -> None:
        """Draw examples of `experience`, keep them, and take them out of its steps."""
        data, size = experience.train, run.problem.budget.batch_size
        count = max(1, min(self.held_out, len(data) // 5))
        drawn = torch.randperm(len(data), generator=run.rng)[:count].sort().values
        run.hold_out(drawn.tolist())
        self._held_out.append(
            [dict(data.__getitems__(rows.tolist())) for rows in drawn.split(size)]
        )


def _detached(pair: tuple[Tensor, Tensor]) -> Pair:
    A, B = pair
    return A.detach().clone(), B.detach().clone()


def _on(device: torch.device, batch: Batch) -> dict[str, Any]:
    return {
        name: value.to(device) if isinstance(value, Tensor) else value
        for name, value in batch.items()
    }
