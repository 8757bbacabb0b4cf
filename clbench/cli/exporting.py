"""`clbench export`: what was written, and how it is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from clbench.contract import InputError, nearest


def export(record: Path, to: str, out: Path | None, rank: int | None) -> Iterator[str]:
    """Write it; lines that say what and where.

    Raises:
        InputError: There is no such form, nothing was kept, or the form cannot hold it.
    """
    from clbench import export as exports  # with PEFT: slow to import

    forms = get_args(exports.Form)
    if to not in forms:
        near = nearest(to, forms)
        raise InputError(f"--to {to} is no form{near} (clbench export --help)")
    folder = out or record.with_suffix(f".{to}")
    made = exports.export(record, to, folder, rank)  # type: ignore[arg-type]
    yield f"written: {made.folder}"
    if to == "merged":
        return
    ranks = sorted(set(made.layers.values()))
    span = f"{ranks[0]}" if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}"
    yield f"{len(made.layers)} low-rank updates of rank {span}"
    if made.whole:
        yield f"saved whole: {', '.join(made.whole)}"
    yield f"left out of an update: {made.lost:.1e} of its norm at the most"
    yield f"read again, its answers differ by {made.gap:.1e} of their size"
    yield f'load: peft.PeftModel.from_pretrained(model, "{made.folder}")'
