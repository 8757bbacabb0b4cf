"""What is looked at before any cell runs: is everything here, and what it should be."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from clbench import registry
from clbench.assets import hashes, lock
from clbench.assets.need import Need, unique
from clbench.contract import InputError
from clbench.masking import expanded

if TYPE_CHECKING:
    from clbench.options import Options
    from clbench.resolved import Cell

OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
"""What the hub's libraries ask, when they are imported, before they ask the network."""


def before(words: Iterable[str]) -> None:
    """Look at a command line before anything is imported because of it.

    Libraries ask the environment when they are imported, so that `offline=true` has to
    be said before; processes started from here are told too.
    """
    if any(word.replace(" ", "").lower() == "offline=true" for word in words):
        os.environ.update(dict.fromkeys(OFFLINE, "1"))


def cells(entries: Sequence[Cell], options: Options) -> None:
    """Refuse to run `entries` where something is missing or is not what it should be.

    Every cell of a command is looked at before the first one runs.

    Raises:
        InputError: With `offline=true`, the list of all that is missing; with
            `lock=FILE`, what differs from it.
    """
    if not (options.offline or options.lock):
        return
    wanted = needs(entries)
    if options.offline:
        missing = [need for need in wanted if need.here() is None]
        if missing:
            lines = "; ".join(told(need) for need in missing)
            raise InputError(
                f"offline=true, and {len(missing)} of {len(wanted)} data sets and "
                f"weights are missing: {lines} (clbench data prepare, with the same "
                f"words, fetches what can be fetched)"
            )
    if options.lock is not None:
        known = lock.read(options.lock)
        for need in wanted:
            place = known.pinned(need).here()
            if place is not None:
                known.check(hashes.asset(known.pinned(need), place))


def needs(entries: Iterable[Cell]) -> list[Need]:
    """What the cells read, each once."""
    return unique(
        [
            need
            for cell in entries
            for need in registry.load("scenario", cell.scenario.name).needs(
                expanded(cell.scenario.params)
            )
        ]
    )


def told(need: Need) -> str:
    """What of it is missing, and where it can be had."""
    home = f" ({need.home})" if need.home else ""
    return f"{need.kind} '{need.name}': {need.lacking()}{home}"
