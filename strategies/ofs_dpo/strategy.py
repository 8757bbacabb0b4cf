"""OFS-DPO as a strategy: a fast and a slow module, roles that are exchanged."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from clbench.contract import (
    Among,
    Batch,
    Count,
    Experience,
    Group,
    NonNegative,
    Positive,
    Problem,
    Recipe,
    Reference,
    Role,
    Run,
    Strategy,
)
from clbench.lowrank import (
    RATES,
    Several,
    SeveralAttention,
    Together,
    Turn,
    inject,
    separable,
)
from clbench.seeding import derive

from .terms import Window, objectives


class OfsDpo(Strategy):
    """Two equal low-rank modules learn every batch, one at a fraction of the rate.

    The one in role F, whose loss was lower of late, is the model; the one in role S
    chases it. Heads, where there are any, are shared and minimise both objectives.

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
    """

    search = RATES
    reference = Reference(
        paper=(
            "Qi, Li, Li, Gao, Zhang and Zhou: Online DPO: Online Direct Preference "
            "Optimization with Fast-Slow Chasing. 2024"
        ),
        url="https://arxiv.org/abs/2406.05534",
        equations=("3", "4", "5", "6"),
        differs=(
            "A reconstruction: the paper's body and code could not be read. Two equal "
            "modules of different speed and a regularising term are its abstract's; "
            "the term's form, the detached other module and the exchange of roles are "
            "from secondary sources; hyper-parameters are this suite's. The gap of "
            "preference margins is that of merits, which every scenario has."
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
    ) -> None:
        self.rank = rank
        self.scale = scale
        self.roles = roles
        self.alpha = alpha
        self.ratio = ratio
        self.interval = interval
        self.shared_init = shared_init
        self.lr_follows = lr_follows
        self.clamp = clamp
        self.clip = clip
        self.together = together
        self._turn = Turn()
        self._window = Window()
        self._both: Together | None = None

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        """Inject both modules; everything else but the heads is frozen."""
        turn, alike = self._turn, self.shared_init
        layers = inject(
            model,
            problem,
            roles=self.roles,
            rank=self.rank,
            scale=self.scale,
            generator=torch.Generator().manual_seed(derive(problem.seed, "ofs_dpo")),
            kind=partial(Several, updates=2, turn=turn, alike=alike),
            attention=partial(SeveralAttention, updates=2, turn=turn, alike=alike),
        )
        self._layers = [x for x in layers if isinstance(x, Several | SeveralAttention)]
        if self.together and problem.per_example and separable(model):
            self._both = Together(model, self._turn, 2)

    def groups(self, model: nn.Module, recipe: Recipe) -> list[Group]:
        """The modules, each with its learning rate and its clipping; and the heads."""
        fast = self._turn.lead if self.lr_follows == "role" else 0
        modules = [
            Group(
                params=[p for layer in self._layers for p in layer.update(number)],
                lr=recipe.lr * (1.0 if number == fast else self.ratio),
                weight_decay=recipe.weight_decay,
                clip=self.clip if recipe.clip is None else recipe.clip,
                name=f"module {number + 1}",
            )
            for number in range(2)
        ]
        known = {id(p) for group in modules for p in group.params}
        heads = [
            p for p in model.parameters() if p.requires_grad and id(p) not in known
        ]
        shared = Group(
            params=heads,
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
            clip=recipe.clip,
            name="heads",
        )
        return [*modules, shared] if heads else modules

    def before_experience(self, run: Run, experience: Experience) -> None:
        """Roles stay as they are; their next exchange rests on this experience."""
        self._window.clear()

    def penalty(self, run: Run, output: Any, batch: Batch) -> Tensor | None:
        """J_F + J_S without L_F, which is in the loss already."""
        problem, lead = run.problem, self._turn.lead
        other = self._other(run.model, output, batch)
        merits = problem.merit(output, batch), problem.merit(other, batch)
        with torch.no_grad():
            loss_F = problem.loss(output, batch)
        losses = loss_F, problem.loss(other, batch)
        self._window.add(lead, losses, merits)
        # L_F is a constant here; its gradient is the engine's.
        J_F, J_S = objectives(losses, merits, self.alpha, self.clamp)
        return J_F - loss_F + J_S

    def after_step(self, run: Run) -> None:
        """Every `interval` steps the module with the lower mean loss becomes F."""
        exchange = self.interval is not None and run.step % self.interval == 0
        if exchange or run.step == run.steps:
            self._report(run)
        if exchange:
            self._lead(run, self._window.better())
            self._window.clear()

    def state(self) -> dict[str, Any]:
        """The roles, and what they are decided by next."""
        return {
            "lead": self._turn.lead,
            "sums": self._window.sums,
            "steps": self._window.steps,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        self._turn.lead = state["lead"]
        self._window.sums, self._window.steps = state["sums"], state["steps"]

    def _other(self, model: nn.Module, output: Any, batch: Batch) -> Any:
        """What the module in role S answers: of the same pass, or of one of its own."""
        number = 1 - self._turn.lead
        known = None if self._both is None else self._both.outputs(output)
        if known is not None:
            return known[number]
        with self._turn.of(number):
            return model(batch)

    def _lead(self, run: Run, number: int) -> None:
        """Let module `number` be F."""
        if number != self._turn.lead:
            self._turn.lead = number
            if self.lr_follows == "role":
                one, two = (run.group(f"module {n}") for n in (1, 2))
                one.lr, two.lr = two.lr, one.lr

    def _report(self, run: Run) -> None:
        losses, merits = self._window.means()
        lead = self._turn.lead
        for number in range(2):
            run.log(f"loss/module {number + 1}", losses[number])
            run.log(f"merit/module {number + 1}", merits[number])
        run.log("gap", merits[lead] - merits[1 - lead])
        run.log("role F", lead + 1)
