"""Published datasets, read by torchvision from the layouts that it knows.

CIFAR-100 is not: torchvision reads it from pickles.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clbench.contract import InputError
from clbench.data.images import keep_items

from .cifar import read_cifar100
from .parts import Images, Part, random_split

SPLITS: dict[str, tuple[dict[str, Any], dict[str, Any]] | None] = {
    "FGVCAircraft": ({"split": "trainval"}, {"split": "test"}),
    "Caltech101": None,
    "DTD": ({"split": "train"}, {"split": "test"}),
    "EuroSAT": None,
    "Flowers102": ({"split": "train"}, {"split": "test"}),
    "Food101": ({"split": "train"}, {"split": "test"}),
    "MNIST": ({"train": True}, {"train": False}),
    "OxfordIIITPet": ({"split": "trainval"}, {"split": "test"}),
    "StanfordCars": ({"split": "train"}, {"split": "test"}),
    "SUN397": None,
}
"""Arguments of both parts; None has no split of its own and is divided 80 / 20."""


def read_published(name: str, kind: str, root: Path, size: int, cache: bool) -> Images:
    """The pictures of a dataset, from the layout that torchvision knows.

    Raises:
        InputError: The data are missing or damaged.
    """
    if kind == "CIFAR100":
        return read_cifar100(root, size, cache)
    arguments = SPLITS[kind]
    if arguments is None:
        data = _open(name, kind, root, {})
        whole = _items(data, root, f"{name}", size, cache)
        return Images(_names(data, whole.labels), *random_split(whole))
    train, test = (_open(name, kind, root, given) for given in arguments)
    parts = [
        _items(data, root, f"{name} {part}", size, cache)
        for part, data in (("train", train), ("test", test))
    ]
    return Images(_names(train, parts[0].labels), *parts)


def _open(name: str, kind: str, root: Path, arguments: dict[str, Any]) -> Any:
    from torchvision import datasets

    if (old := root / kind / "processed").is_dir():
        raise InputError(
            f"scenario.root={root}: {old} holds pickles, which old versions of "
            f"torchvision wrote and new ones still read; remove that folder, "
            f"{kind}/raw is enough"
        )
    try:
        return getattr(datasets, kind)(root=str(root), download=False, **arguments)
    except Exception as error:  # Every dataset says in its own way what is missing.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"scenario.root={root}: '{name}' cannot be read there ({reason[:160]}); "
            f"the layout is that of torchvision.datasets.{kind}, whose "
            f"download=True fetches it"
        ) from error


def _names(data: Any, labels: NDArray[np.int64]) -> tuple[str, ...]:
    names = getattr(data, "classes", None) or getattr(data, "categories", None)
    return tuple(names or map(str, np.unique(labels)))


def _items(data: Any, root: Path, title: str, size: int, cache: bool) -> Part:
    """Every picture of a dataset of torchvision, decoded once."""
    labels = np.array([_label(data, row) for row in range(len(data))], dtype=np.int64)
    digest = hashlib.sha256(f"{root.resolve()}/{title}/{size}".encode())
    digest.update(labels.tobytes())
    album = keep_items(
        f"torchvision-{digest.hexdigest()[:24]}",
        len(data),
        lambda row: data[row][0],
        size=size,
        title=title,
        cache=cache,
    )
    return Part(album, labels)


LABELS = ("targets", "_labels", "y")
"""Where torchvision's datasets keep their labels; `_samples` holds pairs."""


def _label(data: Any, row: int) -> int:
    for name in LABELS:
        if (labels := getattr(data, name, None)) is not None:
            return int(labels[row])
    return int(data._samples[row][1])
