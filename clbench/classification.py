"""What scenarios have in common whose model gives logits of classes."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from clbench.contract import Batch, Problem


class Classification(Problem):
    """Outputs are logits (B, C), batches hold the classes (B,) as `label`."""

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy, mean."""
        return F.cross_entropy(output, batch["label"])

    def merit(self, output: Tensor, batch: Batch) -> Tensor:
        """(B,) log-probability of the label."""
        return -F.cross_entropy(output, batch["label"], reduction="none")

    def distance(self, new: Tensor, old: Tensor, batch: Batch) -> Tensor:
        """Kullback-Leibler divergence of the new prediction from the old, mean."""
        return F.kl_div(
            new.log_softmax(-1),
            old.log_softmax(-1),
            reduction="batchmean",
            log_target=True,
        )
