"""Features of pictures and texts, kept between cells under what they depend on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from clbench.data.cache import cache_folder


def keep_features(key: str, make: Callable[[], Tensor]) -> Tensor:
    """What `make` gives, on the CPU; from the cache where it was made before.

    A cache that cannot be written or read costs time, not the cell: the features are
    then made again.

    Args:
        key: Names all that the features depend on: weights, data, preprocessing.
        make: Computes them.
    """
    path = cache_folder().parent / "features" / f"{key}.safetensors"
    if (kept := _read(path)) is not None:
        return kept
    made = make().cpu().contiguous()
    _write(path, made)
    return made


def _read(path: Path) -> Tensor | None:
    try:
        return load(path.read_bytes())["features"]
    except (OSError, SafetensorError, KeyError):
        return None


def _write(path: Path, features: Tensor) -> None:
    partial = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(save({"features": features}))
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
