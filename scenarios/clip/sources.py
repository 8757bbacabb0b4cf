"""Where a task's pictures come from: the embedded world, torchvision, folders."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from clbench.contract import InputError
from clbench.data.cache import Album, keep_array, pixels_hash
from clbench.data.images import EXTENSIONS, keep_items, read_images
from clbench.pocket import source as pocket_source
from clbench.pocket.views import clip as pocket

from .protocol import TaskSpec

HELD = 0.2
"""Part of a dataset without a split of its own that judges, as MTIL has it."""

SPLIT_SEED = 42
"""Seed of that split."""


@dataclass(frozen=True)
class Part:
    """Pictures and labels of one part of a task.

    Attributes:
        album: (N, S, S, 3) uint8 pictures and their hash.
        labels: (N,) positions in the task's classes.
    """

    album: Album
    labels: NDArray[np.int64]

    @property
    def fingerprint(self) -> str:
        """Hash of pixels and labels."""
        digest = hashlib.sha256(self.album.sha256.encode())
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Images:
    """A task's pictures.

    Attributes:
        classes: Names as the data have them, in the order of the labels.
        train: What is learned from.
        test: What judges.
    """

    classes: tuple[str, ...]
    train: Part
    test: Part


def read(
    name: str, spec: TaskSpec, root: Path | None, *, size: int, cache: bool
) -> Images:
    """The pictures of task `name`.

    Args:
        name: Of the task.
        spec: Says which source it has.
        root: Folder of the data; the embedded world needs none.
        size: S, pixels on a side.
        cache: Whether decoded pictures are kept, and taken, from the cache.

    Raises:
        InputError: The data are missing or damaged.
    """
    if spec.source == "pocket":
        return _pocket(name, size, cache)
    if root is None:
        raise InputError(
            f"scenario.root is missing: name the folder that holds the data of '{name}'"
        )
    if spec.source == "folder":
        return _folder(name, root, size, cache)
    return _torchvision(name, spec.source, root, size, cache)


def _pocket(name: str, size: int, cache: bool) -> Images:
    parts = []
    for part in ("train", "test"):
        key = f"pocket-clip-{name}-{part}-{size}-{pocket_source.digest()[:16]}"
        drawn = pocket.images(name, part)
        album = keep_array(key, partial(_resized, drawn[0], size), cache=cache)
        parts.append(Part(album, drawn[1]))
    return Images(pocket.TASKS[name].classes, *parts)


def _resized(pictures: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(N, S, S, 3) `pictures`, bicubic, where a backbone takes another size."""
    if pictures.shape[1] == size:
        return pictures
    how = Image.Resampling.BICUBIC
    resized = [Image.fromarray(p).resize((size, size), how) for p in pictures]
    return np.stack([np.asarray(picture) for picture in resized])


# --- folders ---


def _folder(name: str, root: Path, size: int, cache: bool) -> Images:
    """`root/name/class/images`, `root/name/{train,test}/class/images`, or idx files."""
    folder = root / name
    if not folder.is_dir():
        here = ", ".join(sorted(p.name for p in root.iterdir() if p.is_dir()))
        raise InputError(
            f"scenario.datasets: there is no folder '{name}' in {root}; it has "
            f"{here or 'none'}"
        )
    if idx := sorted(folder.glob("*-images-idx3-ubyte*")):
        return _idx(name, idx, size, cache)
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        classes = _classes(folder / "train", name)
        parts = [
            _files_part(folder / part, classes, root, size, f"{name} {part}", cache)
            for part in ("train", "test")
        ]
        return Images(classes, *parts)
    classes = _classes(folder, name)
    whole = _files_part(folder, classes, root, size, name, cache)
    return Images(classes, *split(whole))


def _classes(folder: Path, name: str) -> tuple[str, ...]:
    classes = tuple(sorted(p.name for p in folder.iterdir() if p.is_dir()))
    if len(classes) < 2:
        raise InputError(
            f"{folder}: found {len(classes)} class folders, '{name}' needs at least 2; "
            f"the layout is {name}/class/images, or {name}/train/class/images and "
            f"{name}/test/class/images"
        )
    return classes


def _files_part(
    folder: Path,
    classes: Sequence[str],
    root: Path,
    size: int,
    title: str,
    cache: bool,
) -> Part:
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(
            path
            for path in (folder / name).rglob("*")
            if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")
        )
        if not found:
            raise InputError(f"{folder / name}: no image in that folder")
        paths += found
        labels += [label] * len(found)
    album = read_images(paths, size, root=root, title=title, cache=cache, fit="crop")
    return Part(album, np.array(labels, dtype=np.int64))


def split(whole: Part) -> tuple[Part, Part]:
    """A fifth of the images judges, drawn from each class by a fixed seed."""
    rng = np.random.default_rng(SPLIT_SEED)
    test = np.zeros(len(whole.labels), dtype=bool)
    for label in np.unique(whole.labels):
        rows = rng.permutation(np.flatnonzero(whole.labels == label))
        test[rows[: max(1, round(HELD * len(rows)))]] = True
    train_rows, test_rows = np.flatnonzero(~test), np.flatnonzero(test)
    return _rows(whole, train_rows), _rows(whole, test_rows)


def held_out(images: Images) -> Images:
    """Of the training images alone: a fifth of each class judges."""
    train, held = split(images.train)
    return Images(images.classes, train, held)


def random_split(whole: Part) -> tuple[Part, Part]:
    """80 / 20 as torch's `random_split` draws it from the seed 42: MTIL's own."""
    generator = torch.Generator().manual_seed(SPLIT_SEED)
    order = torch.randperm(len(whole.labels), generator=generator).numpy()
    first = int((1 - HELD) * len(order))
    return _rows(whole, order[:first]), _rows(whole, order[first:])


def _rows(whole: Part, rows: NDArray[np.int64]) -> Part:
    pictures = whole.album.pictures[rows]
    return Part(Album(pictures, pixels_hash(pictures)), whole.labels[rows])


def _idx(name: str, files: Sequence[Path], size: int, cache: bool) -> Images:
    """MNIST's own format: `*-images-idx3-ubyte` and `*-labels-idx1-ubyte`, gz or not.

    Files called `train-...` are learned from and `t10k-...` judge; where only one of
    them is there, it is split.
    """
    found = {}
    for path in files:
        labels_path = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
        if not labels_path.is_file():
            raise InputError(f"{path}: its labels are missing ({labels_path.name})")
        pixels, labels = read_idx(path), read_idx(labels_path)
        if len(pixels) != len(labels):
            raise InputError(
                f"{path} holds {len(pixels)} images, {labels_path.name} {len(labels)} "
                f"labels: they do not belong together"
            )
        key = hashlib.sha256(pixels.tobytes()).hexdigest()[:24]
        album = keep_array(
            f"idx-{key}-{size}",
            partial(_resized, np.stack([pixels] * 3, axis=-1), size),
            cache=cache,
        )
        part = "train" if path.name.startswith("train") else "test"
        found[part] = Part(album, labels.astype(np.int64))
    classes = tuple(map(str, np.unique(next(iter(found.values())).labels)))
    if set(found) == {"train", "test"}:
        return Images(classes, found["train"], found["test"])
    return Images(classes, *split(next(iter(found.values()))))


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of an idx file of bytes, compressed or not.

    Raises:
        InputError: It is no such file, or is cut short.
    """
    opened: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            content: bytes = file.read()
        kind, axes = content[2], content[3]
        shape = tuple(
            int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes)
        )
        values = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
        if content[:2] != b"\0\0" or kind != 8:
            raise ValueError("its first bytes are not those of bytes in idx format")
        return values.reshape(shape)
    except (OSError, EOFError, IndexError, ValueError) as error:
        raise InputError(
            f"{path} is no idx file of bytes, or is damaged: {error}"
        ) from (error)


# --- torchvision ---

SPLITS: dict[str, tuple[dict[str, Any], dict[str, Any]] | None] = {
    "FGVCAircraft": ({"split": "trainval"}, {"split": "test"}),
    "Caltech101": None,
    "CIFAR100": ({"train": True}, {"train": False}),
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


def _torchvision(name: str, kind: str, root: Path, size: int, cache: bool) -> Images:
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
