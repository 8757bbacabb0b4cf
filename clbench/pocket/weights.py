"""The weights that ship with the embedded world, each with its record beside it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clbench.contract import InputError

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = Path(__file__).parent / "weights"


def card(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """What is recorded of the weights `name`: hash, configuration, training log."""
    document: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return document


def verified(name: str, path: Path, folder: Path = FOLDER) -> bytes:
    """The content of `path`, after comparing its hash with that recorded for `name`.

    Raises:
        InputError: The file is not the one that was recorded.
    """
    content = path.read_bytes()
    found, recorded = hashlib.sha256(content).hexdigest(), card(name, folder)["sha256"]
    if found != recorded:
        raise InputError(
            f"the pocket weights '{name}' have hash {found[:12]}, recorded is "
            f"{recorded[:12]}: install clbench again, or train them with "
            f"`python -m clbench.pocket.train {name}`"
        )
    return content


def load(name: str, folder: Path = FOLDER) -> dict[str, Tensor]:
    """The weights `name`, a file of tensors.

    Raises:
        InputError: The file is not the one that was recorded.
    """
    from safetensors.torch import load as parse

    return parse(verified(name, folder / f"{name}.safetensors", folder))


def save(
    name: str,
    tensors: dict[str, Tensor],
    facts: dict[str, Any],
    folder: Path = FOLDER,
) -> None:
    """Write the weights `name` and, beside them, `facts` with their hash."""
    from safetensors.torch import save as pack

    content = pack({key: value.contiguous() for key, value in tensors.items()})
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    path.write_bytes(content)
    note(name, path, facts, folder)


def note(name: str, path: Path, facts: dict[str, Any], folder: Path = FOLDER) -> None:
    """Write `facts` about the weights `name`, with the hash of `path`."""
    document = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **facts}
    (folder / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
