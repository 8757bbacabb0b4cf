"""Which files a cell of `clip` reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from clbench.assets.need import Local, Need, Plain
from clbench.data.root import folder
from clbench.models.needs import transformers_needs

from . import protocol
from .cifar import FOLDER, URL
from .folders import LISTS
from .protocol import TaskSpec

TORCHVISION = "https://docs.pytorch.org/vision/stable/datasets.html"

FOLDERS = {
    "FGVCAircraft": ("fgvc-aircraft-2013b/*",),
    "Caltech101": ("caltech101/*",),
    "CIFAR100": (f"{FOLDER}/*",),
    "DTD": ("dtd/*",),
    "EuroSAT": ("eurosat/*",),
    "Flowers102": ("flowers-102/*",),
    "Food101": ("food-101/*",),
    "MNIST": ("MNIST/raw/*",),
    "OxfordIIITPet": ("oxford-iiit-pet/*",),
    "StanfordCars": ("stanford_cars/*",),
    "SUN397": ("SUN397/*",),
}
"""Where torchvision looks for each, below `scenario.root`."""

LICENCES = {
    "aircraft": "non-commercial research",
    "caltech101": "CC BY 4.0",
    "dtd": "research use",
    "eurosat": "MIT",
    "mnist": "CC BY-SA 3.0",
    "oxford_pet": "CC BY-SA 4.0",
    "stanford_cars": "research use",
}

MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"

DOWNLOADS = {
    "CIFAR100": (Plain(URL, "md5:03b5dce01913d631647c71ecec9e9cb8", ".", unpack=True),),
    "MNIST": tuple(
        Plain(f"{MNIST}/{name}.gz", f"md5:{digest}", f"MNIST/raw/{name}", unpack=True)
        for name, digest in (
            ("train-images-idx3-ubyte", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            ("train-labels-idx1-ubyte", "d53e105ee54ea40749a09fcbcd1e9432"),
            ("t10k-images-idx3-ubyte", "9fb629c4189551a2d022fa330f9573f3"),
            ("t10k-labels-idx1-ubyte", "ec29112dd5afa0611ce80d1b7f02629c"),
        )
    ),
}
"""What lies at addresses as plain files, with the hashes that their authors give."""


def need(name: str, spec: TaskSpec, root: Path | None) -> Local:
    """The files of one task."""
    split = spec.split
    patterns: tuple[str, ...]
    if spec.source == "folder":
        patterns, home = (f"{name}/*",), "folders of your own"
    elif split is not None:
        patterns, home = (split.file, f"{split.images}/*"), LISTS
    else:
        patterns = FOLDERS[spec.source]
        home = URL if spec.source == "CIFAR100" else TORCHVISION
    return Local(
        kind="data",
        name=f"clip/{name}",
        key="scenario.root",
        home=home,
        licence=LICENCES.get(name, "see there"),
        place=root,
        patterns=patterns,
        downloads=DOWNLOADS.get(spec.source, ()),
    )


def sources() -> tuple[Local, ...]:
    """The data sets of the published streams, as each lays them out."""
    found = []
    for stream in ("mtil", "xtail"):
        for name, spec in protocol.read(stream).tasks.items():
            known = need(name, spec, None)
            ask = f"scenario.dataset={stream} scenario.root=DIR"
            found.append(_asked(known, f"clip/{stream}/{name}", ask))
    return tuple(found)


def needs(params: Mapping[str, Any]) -> tuple[Need, ...]:
    """The files of every task, and the backbone's weights."""
    found = transformers_needs(params["backbone"], "clip")
    stream = params["dataset"]
    if stream == "pocket":
        return found
    root = folder(params["root"])
    stated = (
        protocol.of_folders(params["datasets"])
        if stream == "folder"
        else protocol.read(stream)
    )
    # Two streams lay out one data set in two ways, a folder has its own name.
    return (
        *(
            _asked(need(name, spec, root), f"clip/{stream}/{name}", "")
            for name, spec in stated.tasks.items()
        ),
        *found,
    )


def _asked(known: Local, name: str, ask: str) -> Local:
    return replace(known, name=name, ask=ask)
