"""Which device a cell computes on."""

from __future__ import annotations

import torch

from clbench.contract import InputError
from clbench.devices.team import ALONE, Team


def pick_device(wanted: str, team: Team = ALONE) -> torch.device:
    """The device named by `wanted`; `auto` takes an accelerator where there is one.

    Of several of a kind each process of a machine has its own.

    Raises:
        InputError: There is no such device here.
    """
    if wanted == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        wanted = "cpu" if found is None else found.type
    if wanted == "cuda" and team.size > 1:
        wanted = f"cuda:{team.local}"
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device '{wanted}' is not available here; `clbench doctor` lists those "
            f"that are"
        ) from error
    return torch.device(wanted)
