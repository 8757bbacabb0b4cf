"""`clbench submit`: records that join the published ones, and why others do not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from clbench.cli.ending import REFUSED


def submit(
    paths: Sequence[Path],
    into: Path,
    *,
    allow_dirty: bool,
    dry_run: bool,
    console: Console,
) -> int:
    """Copy the records that may join, and say a line of each.

    Returns:
        The exit code: 0 all are there now, 2 one was refused.
    """
    from clbench import submit as submitting  # with what it needs: slow to import

    decisions = submitting.submit(paths, into, allow_dirty=allow_dirty, dry_run=dry_run)

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    for decision in decisions:
        if decision.outcome == "refused":
            say(f"refused: {decision.path}: {decision.reason}")
            continue
        say(f"{decision.outcome}: {decision.path} -> {decision.target}")
        for note in decision.notes:
            say(f"  note: {note}")
    counts = {
        outcome: sum(d.outcome == outcome for d in decisions)
        for outcome in ("accepted", "already there", "refused")
    }
    said = ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n)
    say(said + (" (nothing was copied: --dry-run)" if dry_run else ""))
    if counts["accepted"] and not dry_run:
        say("next: clbench board")
    return REFUSED if counts["refused"] else 0
