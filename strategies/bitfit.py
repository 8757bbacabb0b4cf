"""BitFit: biases and heads are trained, all else stays (Ben Zaken et al., ACL 2022)."""

from __future__ import annotations

from torch import nn

from clbench.contract import InputError, Problem, Reference, Strategy
from clbench.lowrank import RATES, freeze


class Bitfit(Strategy):
    """Trains every bias of the backbone, those of normalisation included, and heads.

    A bias is a parameter whose own name ends in `bias`: `bias` of a linear map, a
    convolution or a normalisation, `in_proj_bias` of a packed attention. Tables of
    relative positions (`relative_position_bias_table`), which are added to attention
    scores and not to features, stay frozen.
    """

    search = RATES
    reference = Reference(
        paper=(
            "Ben Zaken, Goldberg and Ravfogel: BitFit: Simple Parameter-efficient "
            "Fine-tuning for Transformer-based Masked Language-models. ACL 2022"
        ),
        url="https://arxiv.org/abs/2106.10199",
    )

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        """Freeze everything but biases and heads."""
        biases = [
            parameter
            for name, parameter in model.named_parameters()
            if name.rpartition(".")[2].endswith("bias")
        ]
        if not biases:
            raise InputError("bitfit trains biases, the model has none")
        freeze(model, problem)
        for parameter in biases:
            parameter.requires_grad_(True)
