"""One encoder and a head for each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from clbench.contract import Batch, Route
from clbench.models.encoder import Encoder

NEVER = -1e4
"""Logit of an answer that a task does not have."""


class TextClassifier(nn.Module):
    """Logits of the task that each text belongs to, read from its first token.

    A head is what BERT and its kin put on top: a layer of the encoder's own width with
    a tanh, then a linear map, dropout before both.

    Args:
        encoder: Its network is taken, not copied.
        answers: Task -> how many answers it has, in the order of the stream.
        dropout: Of what heads read, in training.

    Attributes:
        route: To which task each example belongs, for layers of a strategy.
    """

    def __init__(
        self, encoder: Encoder, answers: Mapping[str, int], *, dropout: float
    ) -> None:
        super().__init__()
        self.encoder = encoder.model
        self.names: Sequence[str] = tuple(encoder.tokenizer.model_input_names)
        width = encoder.width
        self.heads = nn.ModuleDict(
            {
                task: nn.Sequential(
                    nn.Dropout(dropout),
                    nn.Linear(width, width),
                    nn.Tanh(),
                    nn.Dropout(dropout),
                    nn.Linear(width, count),
                )
                for task, count in answers.items()
            }
        )
        self.most = max(answers.values())
        self.route = Route()

    def forward(self, batch: Batch) -> Tensor:
        """(B, C) logits, `NEVER` where a task has fewer than C answers.

        Args:
            batch: What the encoder reads, (B, L) each, and `task` (B,).
        """
        task = batch["task"]
        # Padding is cut off as far as these texts allow.
        longest = int(batch["attention_mask"].sum(1).max())
        given = {name: batch[name][:, :longest] for name in self.names}
        with self.route.of(task):
            read = self.encoder(**given).last_hidden_state[:, 0]
        logits: Tensor = read.new_full((len(read), self.most), NEVER)
        heads = list(self.heads.values())
        # Other heads are left alone: with a gradient of 0 they would still decay.
        for number in task.unique().tolist():
            rows = (task == number).nonzero().squeeze(1)
            made = heads[number](read[rows])
            columns = torch.arange(made.shape[1], device=made.device)
            logits = logits.index_put((rows[:, None], columns), made.to(logits.dtype))
        return logits
