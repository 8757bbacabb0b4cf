"""Where models lie, how they are loaded, and what to say where they cannot be had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clbench.assets import door
from clbench.assets.weights import check_folder
from clbench.contract import InputError
from clbench.models.needs import hub


def place_of(
    name: str,
    *,
    pocket: Callable[[], Path],
    check: Callable[[str, Path], None],
    example: str,
) -> str:
    """The folder of a model of transformers, fetched from the hub where need be.

    Args:
        name: `pocket`, a folder, or `owner/model` on the Hugging Face hub, a revision
            after `@` allowed.
        pocket: Gives the folder of the embedded model.
        check: Raises InputError where a folder, `check(name, folder)`, holds no model.
        example: A model of the hub, for the message.

    Raises:
        InputError: There is no such model here, nor can it be fetched.
    """
    if name == "pocket":
        return str(pocket())
    folder = Path(name).expanduser()
    if folder.is_dir():
        check(name, folder)
        check_folder(f"scenario.backbone={name}", folder)
        return str(folder)
    if "/" not in name:
        raise InputError(
            f"scenario.backbone={name} is neither a folder nor a model of the Hugging "
            f"Face hub, such as {example}; 'pocket' ships with clbench"
        )
    return str(door.current().open(hub(name)))


def remote_code() -> dict[str, Any]:
    """What transformers is told of code that a repository brings along.

    Said every time: where nothing is said, it asks at the terminal.
    """
    return {"trust_remote_code": door.current().trust_remote_code}


def plain_weights() -> dict[str, Any]:
    """How weights are read by transformers: in float32, and from no pickle."""
    import torch

    return {"dtype": torch.float32, "use_safetensors": True}


def unusable(name: str, error: Exception) -> InputError:
    """One line about weights that cannot be had, and what would do instead."""
    if "trust_remote_code" in str(error):
        return InputError(
            f"scenario.backbone={name} brings code of its own, which is not run; read "
            f"it, and if you trust it give trust_remote_code=true, which the record "
            f"then says"
        )
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return InputError(
        f"scenario.backbone={name}: its weights cannot be had ({reason[:160]}); name a "
        f"folder that holds them, or scenario.backbone=pocket, which ships with clbench"
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Within, transformers shows no progress bar: the cell has one of its own."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
