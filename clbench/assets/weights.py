"""Weights are tensors and nothing else: files that could run code are not read."""

from __future__ import annotations

from pathlib import Path

from clbench.contract import InputError

PICKLES = frozenset(
    {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".tar", ".joblib"}
)
"""Endings of files that are read by running what is in them."""

PLAIN = frozenset({".safetensors", ".npz"})
"""Endings of files of weights that are read here."""


def check_file(name: str, path: Path) -> None:
    """Refuse a file of weights that is no file of plain tensors.

    Args:
        name: What the user wrote, such as `scenario.backbone=...`.
        path: The file.

    Raises:
        InputError: Its format is a pickle, or unknown; says how it becomes safetensors.
    """
    if path.suffix in PLAIN:
        return
    if path.suffix in PICKLES:
        raise InputError(
            f"{name}: {path.name} is a pickle, which can run code when it is read; if "
            f"you trust where it comes from, write its tensors to another file once: "
            f"{recipe(path)}"
        )
    raise InputError(
        f"{name}: {path.name} is no file of weights that is read here: "
        f"{' or '.join(sorted(PLAIN))}"
    )


def recipe(path: Path) -> str:
    """The command that writes the tensors of a pickle as safetensors."""
    new = path.with_suffix(".safetensors").name
    return (
        'python -c "import torch, safetensors.torch as s; '
        f"s.save_file(torch.load('{path.name}', weights_only=True), '{new}')\""
    )


def check_folder(name: str, folder: Path) -> None:
    """Refuse a folder whose only weights are pickles.

    Args:
        name: What the user wrote, such as `scenario.backbone=...`.
        folder: Of a model.

    Raises:
        InputError: So it is; says how they become safetensors.
    """
    if any(folder.glob("*.safetensors")):
        return
    found = sorted(p.name for p in folder.iterdir() if p.suffix in PICKLES)
    # Next to weights there are other `.bin` files: the arguments of a training.
    found = [n for n in found if n != "training_args.bin"]
    if found:
        raise InputError(
            f"{name}: the weights there are a pickle ({found[0]}), which runs code "
            f"when it is read; if you trust where it comes from, save it as "
            f"safetensors once: {recipe(Path(found[0]))}"
        )
