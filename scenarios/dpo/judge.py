"""Scores of every domain: held-out pairs, and texts that the policy writes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clbench.contract import Result
from clbench.metrics import preference
from clbench.models.effective import effective_hash
from clbench.models.lm import CausalLm

from .domains import Wins
from .generate import divergences, responses
from .model import PreferenceModel
from .references import Base, sequence_logps
from .tokens import Ids, Tokens, left_cut

SAMPLES = 0
"""Seed of the sampled texts: the same for all cells."""

NOTHING = -1
"""Where a response has ended."""


Written = tuple[Ids, Ids, NDArray[np.float64]]
"""The policy's greedy response, the base's, the divergence at each sampled token."""


@dataclass(frozen=True)
class Judged:
    """What a domain is judged on.

    Attributes:
        name: Of the domain.
        tokens: Held-out pairs.
        prompts: Texts of the first of them, which the policy answers.
        wins: Judges any two responses; None where nobody can.
    """

    name: str
    tokens: Tokens
    prompts: Sequence[str]
    wins: Wins | None


class Judge:
    """Judges a policy on every domain of a stream.

    Args:
        domains: In the order of the stream.
        base: What margins, divergences and wins are measured from.
        lm: Its tokenizer and its special tokens.
        beta: Of the margin.
        most: Tokens of a response that is written, at the most.
        length: Tokens of prompt and response, at the most.
    """

    def __init__(
        self,
        domains: Sequence[Judged],
        base: Base,
        lm: CausalLm,
        *,
        beta: float,
        most: int,
        length: int,
    ) -> None:
        self._domains, self._base, self._lm = domains, base, lm
        self._beta, self._most = beta, most
        room, begin = max(1, length - most), lm.tokenizer.bos_token_id
        self._prompts = [
            left_cut(domain.tokens.prompts[row], room, begin)
            for domain in domains
            for row in range(len(domain.prompts))
        ]

    def row(self, model: PreferenceModel, upto: int) -> dict[str, Result]:
        """A result for every domain.

        Args:
            model: In evaluation mode.
            upto: Experiences learned so far; after 0 the policy may be the base.
        """
        same = upto == 0 and effective_hash([model]) == self._base.hash
        written = self._written(model, same)
        row = {}
        start = 0
        for domain in self._domains:
            reference = self._base.logps(domain.tokens)
            logp = reference if same else sequence_logps(model, domain.tokens)
            reward = preference.rewards(logp.numpy(), reference.numpy(), self._beta)
            end = start + len(domain.prompts)
            row[domain.name] = Result(
                metrics={
                    **preference.preference(
                        logp.numpy(), reference.numpy(), domain.tokens.sizes, self._beta
                    ),
                    **self._answers(domain, written[start:end]),
                },
                outcomes={
                    "margin": reward[:, 0] - reward[:, 1],
                    "reward_chosen": reward[:, 0],
                    "reward_rejected": reward[:, 1],
                },
            )
            start = end
        return row

    def _answers(self, domain: Judged, written: Sequence[Written]) -> dict[str, float]:
        """Divergence and win rate of the texts written for one domain."""
        if not written:
            return {}
        found = preference.divergence([drift for _, _, drift in written])
        if domain.wins is not None:
            results = [
                domain.wins(prompt, self._text(ours), self._text(theirs))
                for prompt, (ours, theirs, _) in zip(
                    domain.prompts, written, strict=True
                )
            ]
            found["win_rate"] = float(np.mean(results))
        return found

    def _written(self, model: PreferenceModel, same: bool) -> list[Written]:
        """What was written to each prompt of each domain."""
        prompts = self._prompts
        if not prompts:
            return []
        theirs = self._base_responses()
        if same:
            nothing = np.zeros(1)
            return [(answer, answer, nothing) for answer in theirs]
        most = self._most
        ours = responses(model, self._lm, prompts, most=most)
        sampled = responses(model, self._lm, prompts, most=most, seed=SAMPLES)
        with self._base.model() as base:
            drift = divergences(model, base, prompts, sampled, self._lm.pad)
        return list(zip(ours, theirs, drift, strict=True))

    def _base_responses(self) -> list[Ids]:
        """The base's greedy responses, which all cells share."""
        lm, most = self._lm, self._most

        def make() -> Tensor:
            with self._base.model() as base:
                found = responses(base, lm, self._prompts, most=most)
            rows = torch.full((len(found), most), NOTHING)
            for row, ids in zip(rows, found, strict=True):
                row[: len(ids)] = torch.from_numpy(ids)
            return rows

        digest = hashlib.sha256()
        for prompt in self._prompts:
            digest.update(np.append(prompt, NOTHING).astype("<i8").tobytes())
        what = f"responses {digest.hexdigest()} {most} {lm.end}"
        kept = self._base.keep(what, make).numpy()
        return [row[row != NOTHING] for row in kept]

    def _text(self, ids: Ids) -> str:
        text: str = self._lm.tokenizer.decode(ids.tolist(), skip_special_tokens=True)
        return text.strip()
