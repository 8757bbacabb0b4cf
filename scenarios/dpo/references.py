"""The fixed model that margins are measured from, and its log-probabilities.

They are computed once for each domain and kept on disk, under the hash of all that they
depend on: the weights as they compute, the tokens and the arithmetic. Cells of every
strategy and every seed share them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

import torch
from torch import Tensor

from clbench.data.features import keep_features
from clbench.models.effective import effective_hash

from .model import PreferenceModel
from .tokens import Tokens

BUDGET = 2**13
"""Tokens in a batch without gradients, padding included."""


class Base:
    """The pre-trained model as the user named it, which nothing trains.

    Args:
        model: Makes it, in evaluation mode on the CPU.
        cache: Whether what it computes is kept on disk.
    """

    def __init__(self, model: Callable[[], PreferenceModel], *, cache: bool) -> None:
        self._make, self._cache = model, cache
        self._known: dict[str, Tensor] = {}
        self.device = torch.device("cpu")

    @cached_property
    def _model(self) -> PreferenceModel:
        return self._make().eval().requires_grad_(False)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the weights that it computes with."""
        return effective_hash([self._model])

    @contextmanager
    def model(self) -> Iterator[PreferenceModel]:
        """Within, the model is on `device`."""
        try:
            yield self._model.to(self.device)
        finally:
            self._model.to("cpu")

    def logps(self, tokens: Tokens) -> Tensor:
        """(N, 2) log-probabilities of both responses, on the CPU."""

        def make() -> Tensor:
            with self.model() as model:
                return sequence_logps(model, tokens)

        return self.keep(f"logps {tokens.sha256}", make)

    def keep(self, what: str, make: Callable[[], Tensor]) -> Tensor:
        """What `make` gives; as it was, where it was made of the same before.

        Args:
            what: Names all that it depends on besides the model.
            make: Computes it with the model.
        """
        facts = (self.hash, what, torch.__version__, self.device.type)
        key = hashlib.sha256("\0".join(facts).encode()).hexdigest()
        if key not in self._known:
            self._known[key] = keep_features(key, make) if self._cache else make()
        return self._known[key]


@torch.no_grad()
def sequence_logps(model: PreferenceModel, tokens: Tokens) -> Tensor:
    """(N, 2) log-probabilities of both responses of every pair, on the CPU.

    Args:
        model: In evaluation mode, on any device.
        tokens: The pairs.
    """
    device = next(model.parameters()).device
    found = torch.zeros(len(tokens), 2)
    for rows in tokens.by_length(BUDGET):
        batch = {k: v.to(device) for k, v in tokens.batch(rows).items()}
        found[torch.from_numpy(rows.copy())] = model(batch)["logp"].cpu()
    return found
