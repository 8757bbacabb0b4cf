"""Scanned digits, two classes at a time: Avalanche's nc_benchmark as a scenario."""

from __future__ import annotations

import torch
from avalanche.benchmarks import nc_benchmark
from avalanche.benchmarks.utils import as_classification_dataset
from sklearn.datasets import load_digits
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.utils.data import TensorDataset

from clbench.avalanche import BenchmarkScenario


class SplitDigits(BenchmarkScenario):
    """Which digit it is; all ten classes are possible answers.

    Args:
        steps_per_experience: Optimizer steps on each pair of digits.
        batch_size: Pictures in a step.
        seed: The cell's seed.
    """

    head = "head"

    def benchmark(self):
        """Five experiences of two digits each."""
        images, labels = load_digits(return_X_y=True)
        x = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16
        y = torch.tensor(labels)
        held = torch.arange(len(y)) % 5 == 0
        parts = []
        for rows in (~held, held):
            data = TensorDataset(x[rows], y[rows])
            data.targets = y[rows].tolist()
            parts.append(as_classification_dataset(data))
        order = list(range(10))
        return nc_benchmark(*parts, 5, task_labels=False, fixed_class_order=order)

    def network(self) -> nn.Module:
        """A small ViT over 2 x 2 patches."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return VisionTransformer(
                img_size=8,
                patch_size=2,
                in_chans=1,
                num_classes=10,
                embed_dim=32,
                depth=2,
                num_heads=2,
            )
