"""Any adapter of the PEFT library as a strategy, put on what may be adapted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from clbench.contract import (
    Batch,
    Count,
    Experience,
    Problem,
    Reference,
    Role,
    Run,
    Strategy,
)
from clbench.lowrank import RATES

from .configuration import configure, targets
from .data import start_from_data
from .injection import NAME, inject
from .library import FROM_DATA, adapter, adapters


class Peft(Strategy):
    """An adapter of the PEFT library; everything else but the heads is frozen.

    Args:
        type: PEFT's name of the adapter, or of a variant of its LoRA, such as dora,
            vera or pissa; `clbench list adapters` has all of them.
        roles: Which projections are adapted. A fused projection is one module and is
            adapted as a whole where any of its roles is named.
        config: Entries of PEFT's configuration of that type, such as
            strategy.config.r=8; null leaves all to PEFT's defaults, except where these
            do not fit the layers.
        batches: Training batches that types which start from data look at (eva, corda,
            lora_ga).
    """

    search = RATES
    reference = Reference(
        paper="Mangrulkar et al.: PEFT: State-of-the-art Parameter-Efficient "
        "Fine-Tuning methods. 2022",
        url="https://github.com/huggingface/peft",
        differs=(
            "Types whose first update is not 0 start at the pre-trained function: that "
            "update is taken off the frozen weight. Types that start from data do so "
            "when the first experience begins. AdaLoRA's regularisation and allocation "
            "and the losses of other types are applied in every step."
        ),
    )

    def __init__(
        self,
        *,
        type: str = "lora",
        roles: tuple[Role, ...] = ("q", "k", "v", "out", "fc1", "fc2"),
        config: dict[str, Any] | None = None,
        batches: Count = 16,
    ) -> None:
        self.type = type
        self.roles = roles
        self.config = config
        self.batches = batches
        self._tuner: Any = None
        self._started = False

    @classmethod
    def variants(cls) -> Mapping[str, Mapping[str, Any]]:
        """Every type that the installed PEFT has."""
        return {name: {"type": name} for name in adapters()}

    def unsupported(self, problem: Problem) -> str | None:
        """Why the type can be put into no model, or not into this one."""
        return adapter(self.type).reason

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        """Inject the adapter; one that starts from data is a plain LoRA until then."""
        found = adapter(self.type)
        self._chosen = targets(found, model, problem, self.roles)
        steps = problem.budget.steps * problem.budget.models
        given = self.config or {}
        self._config = configure(found, given, self._chosen, model, steps)
        first = found, self._config
        if found.name in FROM_DATA:
            plain = adapter("lora")
            entries = {k: v for k, v in given.items() if k not in found.preset}
            first = plain, configure(plain, entries, self._chosen, model, steps)
        self._tuner = inject(model, problem, *first, self._chosen)

    def before_experience(self, run: Run, experience: Experience) -> None:
        """Let types that start from data see those of the first experience."""
        found = adapter(self.type)
        if found.name in FROM_DATA and not self._started:
            self._tuner = start_from_data(
                run,
                experience,
                found,
                self._tuner,
                self._config,
                self._chosen,
                self.batches,
            )
        self._started = True

    def penalty(self, run: Run, output: Any, batch: Batch) -> Tensor | None:
        """AdaLoRA's orthogonality, and the loss that a type brings itself."""
        config = self._tuner.peft_config[NAME]
        if getattr(config, "orth_reg_weight", 0) > 0:
            weight: float = config.orth_reg_weight
            return weight * orthogonality(run.model)
        if getattr(config, "monteclora_config", None) is not None:
            loss: Tensor = self._tuner._get_monteclora_loss()
            return loss
        return None

    def after_step(self, run: Run) -> None:
        """Allocate ranks, where the type does."""
        allocate = getattr(self._tuner, "update_and_allocate", None)
        if allocate is not None:
            allocate(run.total_step)

    def after_experience(self, run: Run, experience: Experience) -> None:
        """Log the ranks that an allocation left."""
        pattern = getattr(self._tuner.peft_config[NAME], "rank_pattern", None) or {}
        for name, kept in pattern.items():
            if isinstance(kept, list):
                run.log(f"rank/{name.partition('.lora_')[0]}", float(sum(kept)))

    def state(self) -> dict[str, Any]:
        """Whether data were looked at, and the importances that an allocator keeps.

        Raises:
            NotImplementedError: PEFT keeps random draws where they cannot be reached.
        """
        if self.type in UNREACHABLE:
            raise NotImplementedError(
                f"PEFT's {self.type} keeps random draws of many steps outside of its "
                f"parameters"
            )
        found: dict[str, Any] = {"started": self._started}
        allocator = getattr(self._tuner, "rankallocator", None)
        if allocator is not None:
            found["importance"] = {name: getattr(allocator, name) for name in KEPT}
            found["ranks"] = self._tuner.peft_config[NAME].rank_pattern
        return found

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        self._started = state["started"]
        for name, values in state.get("importance", {}).items():
            setattr(self._tuner.rankallocator, name, dict(values))
        if "ranks" in state:
            self._tuner.peft_config[NAME].rank_pattern = state["ranks"]


UNREACHABLE = ("monteclora",)
"""Types with a state that is no parameter, no buffer and not the tuner's."""

KEPT = ("ipt", "exp_avg_ipt", "exp_avg_unc")
"""What AdaLoRA's allocator remembers of past steps."""


def orthogonality(model: nn.Module) -> Tensor:
    """How far AdaLoRA's factors are from orthogonal, the mean over all factors.

    ||P^T P - I||_F and ||Q Q^T - I||_F (Zhang et al., ICLR 2023, equation 4, with norms
    that are not squared, as the released code and PEFT have them).
    """
    gaps = []
    for name, parameter in model.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            factor = parameter if "lora_A" in name else parameter.T
            gram = factor @ factor.T
            gaps.append((gram - torch.eye(len(gram)).to(gram)).norm())
    return torch.stack(gaps).mean()
