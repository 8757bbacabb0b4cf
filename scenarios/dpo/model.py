"""A causal language model over batches of pairs."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from clbench.contract import Batch


class PreferenceModel(nn.Module):
    """Log-probabilities of chosen and rejected responses, in one padded batch.

    Args:
        lm: Of transformers: token numbers -> logits.
    """

    rowwise = ("last",)

    def __init__(self, lm: nn.Module) -> None:
        super().__init__()
        self.lm = lm
        self._keeps = "logits_to_keep" in inspect.signature(lm.forward).parameters

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Both responses of B examples, as 2 B rows: example 0's, example 1's, ...

        Args:
            batch: `input_ids` and `response` (B, 2, L), padded on the right.

        Returns:
            `logp` (B, 2), sums over the tokens of a response; `logits` (B, 2, K, V) of
            the last K tokens of the longest row, which include all responses; `counts`
            (B, 2, K), whether a token is one of its response.
        """
        ids = batch["input_ids"]
        B = len(ids)
        logits, counts, labels = self.rows(
            ids.flatten(0, 1), batch["response"].flatten(0, 1)
        )
        logp = (token_logps(logits, labels) * counts).sum(-1)
        return {
            "logp": logp.view(B, 2),
            "logits": logits.view(B, 2, *logits.shape[1:]),
            "counts": counts.view(B, 2, -1),
        }

    def rows(self, ids: Tensor, response: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of every token of a response, given what stands before it.

        Args:
            ids: (R, L), padded on the right.
            response: (R, L) whether a token is one of the response.

        Returns:
            Logits (R, K, V), `counts` (R, K) and the tokens (R, K) that they are for:
            from the first response's first token to the last one's last.
        """
        places = response.any(0).nonzero()
        first, end = int(places[0]), int(places[-1]) + 1
        ids, response = ids[:, :end], response[:, :end]
        logits = self.last(ids, end - first)
        return logits.float(), response[:, first:], ids[:, first:]

    def last(self, ids: Tensor, count: int) -> Tensor:
        """(R, count, V) logits of the last tokens of `ids` (R, L)."""
        # No mask: padding stands on the right, where no token looks.
        given: dict[str, Any] = {"input_ids": ids, "use_cache": False}
        if self._keeps:
            given["logits_to_keep"] = count + 1
        logits: Tensor = self.lm(**given).logits[:, -(count + 1) : -1]
        return logits


def token_logps(logits: Tensor, labels: Tensor) -> Tensor:
    """(R, K) log-probabilities of `labels` (R, K) under `logits` (R, K, V)."""
    flat = F.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), reduction="none", ignore_index=-100
    )
    return -flat.view(labels.shape)
