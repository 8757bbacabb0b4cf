"""How cells are run: the options that change no number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from clbench import schema
from clbench.contract import Count, NonNegative


@dataclass(frozen=True, kw_only=True)
class Options:
    """How cells are run; none of it changes a number.

    Attributes:
        device: Where tensors live; `auto` takes an accelerator where there is one.
        out: Folder of the records.
        plugins: Folder of local plugins.
        tuned: Whether tuned settings apply.
        threads: CPU threads of torch; null leaves the choice to it.
        checkpoint_every: Minutes between checkpoints; 0 is at the ends of experiences
            only, null is none.
        keep: Whether the trained model is kept beside its record, for `clbench export`.
        deterministic: Whether torch takes deterministic kernels alone; a cell that
            needs one that there is not fails.
        offline: Whether the network is never asked; what is missing is listed before
            anything runs.
        lock: File of `clbench data lock`: data and weights that differ are refused.
        trust_remote_code: Whether code that a model of the hub brings along may run;
            the record says so.
        track: Where cells that were run are sent to be watched; see docs/tracking.md.
        force: Run cells again whose record exists, if `afresh`; else those of them
            that were stopped at that, and have a checkpoint.
        afresh: Remove checkpoints instead of going on from them.
        quiet: Show no progress.
        json: Print one JSON object for each cell and nothing else.
    """

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    out: Path = Path("runs")
    plugins: Path | None = None
    tuned: bool = True
    threads: Count | None = None
    checkpoint_every: NonNegative | None = 10.0
    keep: bool = False
    deterministic: bool = False
    offline: bool = False
    lock: Path | None = None
    trust_remote_code: bool = False
    track: Literal["none", "tensorboard", "wandb", "mlflow", "trackio"] = "none"
    force: bool = False
    afresh: bool = False
    quiet: bool = False
    json: bool = False


def option_keys() -> dict[str, schema.Parameter]:
    """Every option but the flags by its key on the command line: `checkpoint.every`."""
    known = schema.parameters(Options)
    return {
        k.replace("checkpoint_", "checkpoint."): p
        for k, p in known.items()
        if k not in FLAGS
    }


def read_options(plain: Mapping[str, Any]) -> Options:
    """The options that are `plain` as JSON; flags are off.

    Raises:
        ValueError: One of them is out of range.
    """
    known = {key.replace(".", "_"): p for key, p in option_keys().items()}
    return Options(**{k: p.check(plain[k]) for k, p in known.items() if k in plain})


FLAGS = ("force", "afresh", "quiet", "json")
"""Options that are flags of the command line, not keys."""
