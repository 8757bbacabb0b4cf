"""LoRA started from training data: EVA, CorDA and LoRA-GA, by PEFT's own functions."""

from __future__ import annotations

from typing import Any

import torch
from peft import get_eva_state_dict, initialize_lora_eva_weights
from torch import Tensor, nn

from clbench.contract import Batch, Experience, Run
from clbench.devices import whole
from clbench.past import shown
from clbench.seeding import derive, global_seed

from .configuration import Target
from .injection import NAME, inject, quiet, remove
from .library import Adapter

ROWS = 4096
"""Inputs of a layer from which CorDA's covariance is estimated."""


def start_from_data(
    run: Run,
    experience: Experience,
    adapter: Adapter,
    tuner: Any,
    config: Any,
    chosen: list[Target],
    batches: int,
) -> Any:
    """Let a LoRA that was put in anyhow start as `adapter` does; PEFT's tuner.

    Args:
        run: Whose model has the LoRA.
        experience: Its training data are looked at.
        adapter: The type.
        tuner: Of the LoRA.
        config: PEFT's configuration of the type.
        chosen: Modules that are wrapped.
        batches: Number of training batches that are looked at.
    """
    seed = derive(run.problem.seed, "peft", "data")
    seen = list(shown(experience, seed, batches, run.device))
    model = remove(tuner)
    training = model.training
    with quiet(), global_seed(seed), whole(model):
        if adapter.name == "corda":
            from peft.tuners.lora.corda import preprocess_corda  # needs attrs

            rows = _inputs(model, chosen, seen)
            preprocess_corda(model, config, run_model=lambda: _replay(rows))
        elif adapter.name == "lora_ga":
            # Not in the oldest PEFT that clbench runs with.
            from peft.tuners.lora.loraga import preprocess_loraga

            preprocess_loraga(model, config, lambda: _descend(run, model, seen))
        else:
            found = get_eva_state_dict(
                model,
                seen,
                config,
                forward_fn=lambda model, batch: model(batch),
                prepare_model_inputs_fn=None,
                prepare_layer_inputs_fn=_rows,
                show_progress_bar=False,
            )
    made = inject(model, run.problem, adapter, config, chosen)
    if adapter.name == "eva":
        with quiet():
            found = {f"model.{path}": value for path, value in found.items()}
            initialize_lora_eva_weights(made, eva_state_dict=found, adapter_name=NAME)
    for target in chosen:
        _forget(model.get_submodule(target.path))
    model.to(run.device).train(training)
    return made


@torch.no_grad()
def _inputs(
    model: nn.Module, chosen: list[Target], seen: list[Batch]
) -> list[tuple[nn.Module, Tensor]]:
    """What each layer is given for batches that were seen: (N, d_in), N at most ROWS.

    CorDA's own hooks take one sequence at a time, and no windows or images.
    """
    kept: dict[nn.Module, list[Tensor]] = {}
    each = max(1, ROWS // len(seen))

    def keep(module: nn.Module, given: Any) -> None:
        rows = given[0].reshape(-1, given[0].shape[-1])
        kept.setdefault(module, []).append(rows[:: max(1, len(rows) // each)])

    modules = [model.get_submodule(target.path) for target in chosen]
    handles = [module.register_forward_pre_hook(keep) for module in modules]
    model.eval()
    for batch in seen:
        model(batch)
    for handle in handles:
        handle.remove()
    return [(module, torch.cat(rows)) for module, rows in kept.items()]


def _replay(inputs: list[tuple[nn.Module, Tensor]]) -> None:
    for module, rows in inputs:
        module(rows)


def _descend(run: Run, model: nn.Module, seen: list[Batch]) -> None:
    for batch in seen:
        run.problem.loss(model(batch), batch).backward()


def _rows(layer_input: Any, model_input: Any, layer_name: str) -> Tensor:
    """(N, d_in) of what a layer is given, whatever its leading dimensions."""
    given = layer_input[0] if isinstance(layer_input, tuple) else layer_input
    rows: Tensor = given.reshape(-1, given.shape[-1])
    return rows


def _forget(layer: Any) -> None:
    """Drop what PEFT's preprocessing left at a layer."""
    for module in (layer, layer.get_base_layer()):
        for name in ("eigens", "_peft_loraga_grad"):
            if hasattr(module, name):
                delattr(module, name)
