"""A CLIP and the texts of every class of a stream, as one model over batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clbench.contract import Batch, Route
from clbench.data.augment import to_float
from clbench.models.clip import Clip

NEVER = -1e4
"""Logit of a class that an example is not compared with; similarities lie within 100.

Finite, so that the difference of two such logits is 0 and not undefined.
"""

TEXTS = 256
"""Texts that are encoded at once without gradients."""


class ClipClassifier(nn.Module):
    """Compares images with the prompts of classes.

    Classes are numbered over the whole stream, task after task in the order of arrival.
    The temperature is a constant: no strategy trains it. `route` tells of images and
    texts alike to which task they belong.

    Args:
        clip: The pre-trained model, whose towers become this model's.
        prompts: Of each task the training prompt of each class.
        union: Whether the tasks of a batch compete; else every example is compared with
            the classes of its own task only.
    """

    rowwise = ("images", "texts")
    tokens: Tensor
    mask: Tensor
    owner: Tensor
    seen: Tensor
    scale: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self, clip: Clip, prompts: Sequence[Sequence[str]], *, union: bool
    ) -> None:
        super().__init__()
        self.vision_model = clip.model.vision_model
        self.visual_projection = clip.model.visual_projection
        self.text_model = clip.model.text_model
        self.text_projection = clip.model.text_projection
        self.union = union
        self.route = Route()
        tokens, mask = clip.tokenize([text for task in prompts for text in task])
        owner = [number for number, task in enumerate(prompts) for _ in task]
        for name, value in {
            "tokens": tokens,
            "mask": mask,
            "owner": torch.tensor(owner),
            "seen": torch.zeros(0, self.text_projection.out_features),
            "scale": clip.model.logit_scale.detach().exp(),
            "mean": torch.tensor(clip.mean)[:, None, None],
            "std": torch.tensor(clip.std)[:, None, None],
        }.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Similarities of images and the classes of the batch's tasks.

        Args:
            batch: `image`, uint8 (B, S, S, 3) or float (B, 3, S, S) in [0, 1], and
                `task` (B,).

        Returns:
            `image` (B, D) and `text` (K, D), of length 1; `classes` (K,) numbers of the
            texts' classes, ascending; `seen` (n, D) the texts of earlier classes as
            they were when the experience began; `logits` (B, K), `NEVER` where an
            example is not compared; `scale`, the inverse temperature.
        """
        task = batch["task"]
        classes = torch.isin(self.owner, task).nonzero().squeeze(1)
        image = self.images(batch["image"], task)
        owner = self.owner[classes]
        text = self.texts(self.tokens[classes], self.mask[classes], owner)
        logits = self.scale * image @ text.T
        if not self.union:
            other = self.owner[classes] != task[:, None]
            logits = logits.masked_fill(other, NEVER)
        return {
            "logits": logits,
            "image": image,
            "text": text,
            "classes": classes,
            "seen": self.seen,
            "scale": self.scale,
        }

    @torch.no_grad()
    def begin(self, learned: int) -> None:
        """Keep the texts of the first `learned` tasks as the model has them now."""
        chosen = self.owner < learned
        self.seen = self.all_texts(
            self.tokens[chosen], self.mask[chosen], self.owner[chosen]
        )

    def images(self, images: Tensor, task: Tensor | None = None) -> Tensor:
        """(B, D) features of length 1 of `images`, as in `forward`.

        Args:
            images: B of them.
            task: (B,) to which each belongs; None where that is not known.
        """
        pixels = (to_float(images) - self.mean) / self.std
        with self.route.of(task):
            pooled = self.vision_model(pixel_values=pixels).pooler_output
            projected = self.visual_projection(pooled)
        return F.normalize(projected, dim=-1)

    def texts(self, tokens: Tensor, mask: Tensor, task: Tensor | None = None) -> Tensor:
        """(K, D) features of length 1 of texts.

        Args:
            tokens, mask: (K, L).
            task: (K,) to which each belongs; None where that is not known.
        """
        # Padding is cut off as far as these texts allow.
        longest = int(mask.sum(1).max())
        given: dict[str, Any] = {
            "input_ids": tokens[:, :longest],
            "attention_mask": mask[:, :longest],
        }
        with self.route.of(task):
            pooled = self.text_model(**given).pooler_output
            projected = self.text_projection(pooled)
        return F.normalize(projected, dim=-1)

    @torch.no_grad()
    def all_texts(
        self, tokens: Tensor, mask: Tensor, task: Tensor | None = None
    ) -> Tensor:
        """(K, D) as `texts`, any number of them, without gradients.

        Args:
            tokens, mask: (K, L).
            task: (K,) to which each belongs; None where that is not known.
        """
        parts = []
        for start in range(0, len(tokens), TEXTS):
            some = slice(start, start + TEXTS)
            owner = None if task is None else task[some]
            parts.append(self.texts(tokens[some], mask[some], owner))
        return torch.cat(parts) if parts else self.seen.new_zeros(0, self.seen.shape[1])
