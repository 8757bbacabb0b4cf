"""What OFS-DPO costs beside two steps of DPO, and what a cached reference saves.

Three steps that alternate within one process, on the same batches of real training
data, from reading them to the optimizer; medians are compared:

- `two`: plain DPO of a low-rank module, twice, each with its own optimizer;
- `ofs`: OFS-DPO, both modules in one pass of a batch of twice the size;
- `again`: plain DPO that computes the reference's log-probabilities anew.

Both modules have rank 16 on q and v, as each of the two separate ones has. What one
pass can save is what does not grow with the batch, so that the ratio depends on the
batch: `--pairs` takes several.

    python benchmarks/dpo.py --pairs 1 4 16 --rounds 30 --threads 2
    python benchmarks/dpo.py --backbone ../shared/data/models/stories260K
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import torch

from clbench import registry
from clbench.contract import Batch, Experience, Scenario, Strategy
from clbench.lowrank import disabled
from clbench.problem import view
from clbench.session import Session

RANK = 16

WARM = 8
"""Rounds that are not counted: memory is taken from the system in the first ones."""

STORIES = {
    "hidden_size": 64,
    "intermediate_size": 172,
    "num_hidden_layers": 5,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
}
"""Sizes of a model of about 260 thousand parameters, for the pocket LM's words."""


def scenario_with(backbone: str, pairs: int) -> Scenario:
    """`dpo` on the embedded world's domains, `pairs` of them in a step."""
    kind: Any = registry.load("scenario", "dpo")
    if backbone != "stories":
        return kind(backbone=backbone, batch_size=pairs, cache=False)
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from clbench.pocket.models import lm

    with tempfile.TemporaryDirectory() as folder:
        words = AutoTokenizer.from_pretrained(lm.folder())
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=len(words), pad_token_id=words.pad_token_id, **STORIES
        )
        LlamaForCausalLM(config).save_pretrained(folder)
        words.save_pretrained(folder)
        made = kind(backbone=folder, batch_size=pairs, cache=False)
        made.model()  # Reads the folder, which is about to go.
    return made


class Trainer:
    """One strategy on the first domain, a step at a time.

    Args:
        strategy: Fresh.
        scenario: Whose first experience.
        recompute: Whether the reference's log-probabilities are computed in each step.
    """

    def __init__(
        self, strategy: Strategy, scenario: Scenario, *, recompute: bool = False
    ) -> None:
        model, problem = scenario.model(), view(scenario)
        torch.manual_seed(0)
        strategy.prepare(model, problem)
        experience = scenario.stream()[0]
        problem.begin(model, experience)
        self.run = Session(model.train(), problem, torch.device("cpu"), _ignore)
        self.run.begin(experience)
        strategy.before_experience(self.run, experience)
        self.run.optimize(strategy.groups(model, problem.recipe))
        self._strategy, self._recompute = strategy, recompute
        self._batches = _batches(experience)

    def step(self) -> None:
        """As the engine does it."""
        run, strategy = self.run, self._strategy
        batch = next(self._batches)
        if self._recompute:
            with torch.no_grad(), disabled(run.model):
                batch = {**batch, "reference": run.model(batch)["logp"]}
        run.optimizer.zero_grad()
        output = run.model(batch)
        loss = run.problem.loss(output, batch)
        penalty = strategy.penalty(run, output, batch)
        (loss if penalty is None else loss + penalty).backward()
        strategy.before_step(run)
        assert run.groups is not None
        run.groups.before_step(run.step)
        run.optimizer.step()
        run.advance()
        strategy.after_step(run)


def _batches(experience: Experience) -> Iterator[Batch]:
    drawn = list(experience.train.batches(0, 16))
    return (experience.train.__getitems__(rows) for rows in cycle(drawn))


def _ignore(*_: Any) -> None:
    """Where the numbers of a step go."""


def measure(backbone: str, pairs: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of each kind of step."""
    scenario = scenario_with(backbone, pairs)

    def lora(**given: Any) -> Trainer:
        return Trainer(registry.load("strategy", "lora")(rank=RANK), scenario, **given)

    one, other, again = lora(), lora(), lora(recompute=True)
    ofs = Trainer(registry.load("strategy", "ofs_dpo")(rank=RANK), scenario)

    def two() -> None:
        one.step()
        other.step()

    steps: dict[str, Callable[[], None]] = {
        "two": two,
        "ofs": ofs.step,
        "again": again.step,
    }
    spent: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + WARM):
        for name in list(steps) if number % 2 else list(reversed(steps)):
            start = time.perf_counter()
            steps[name]()
            if number >= WARM:
                spent[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in spent.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", nargs="+", default=["pocket", "stories"])
    parser.add_argument("--pairs", type=int, nargs="+", default=[1, 2, 4, 16])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, help="where the medians are written")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"rank {RANK} on q and v, {options.threads} thread(s), ms (medians)")
    print("backbone  pairs |   two DPO      OFS  ratio | cached  recomputed  ratio")
    found = []
    for backbone in options.backbone:
        for pairs in options.pairs:
            spent = measure(backbone, pairs, options.rounds)
            two, ofs, again = spent["two"], spent["ofs"], spent["again"]
            found.append({"backbone": backbone, "pairs": pairs, **spent})
            print(
                f"{Path(backbone).name:9} {pairs:5} | {two:9.1f} {ofs:8.1f} "
                f"{ofs / two:6.3f} | {two / 2:6.1f} {again:11.1f} "
                f"{again / (two / 2):6.3f}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
