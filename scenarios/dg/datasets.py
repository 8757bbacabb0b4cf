"""Where domains come from: the embedded world, known datasets, any folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clbench.contract import InputError
from clbench.data.cache import Pictures, keep_array
from clbench.data.images import EXTENSIONS, DamagedImages, read_images
from clbench.pocket import source
from clbench.pocket.views import dg as pocket


@dataclass(frozen=True)
class Domain:
    """The pictures of one domain.

    Attributes:
        pictures: (N, S, S, 3) uint8.
        labels: (N,) class numbers.
        sha256: Hash of the pixels.
    """

    pictures: Pictures
    labels: NDArray[np.int64]
    sha256: str

    @property
    def fingerprint(self) -> str:
        """Hash of pixels and labels."""
        digest = hashlib.sha256(self.sha256.encode())
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Preset:
    """A published dataset: what it holds, how it is trained on, where it can be had.

    Attributes:
        title: As papers write it.
        domains: Names of its folders, sorted.
        classes: Number of classes.
        home: Where its authors offer it.
        steps: Optimizer steps of the published protocol.
        evaluate_every: Steps between evaluations.
        aliases: Further names of a domain's folder that are about.
    """

    title: str
    domains: tuple[str, ...]
    classes: int
    home: str
    steps: int = 5001
    evaluate_every: int = 200
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


PRESETS: dict[str, Preset] = {
    "pacs": Preset(
        title="PACS",
        domains=("art_painting", "cartoon", "photo", "sketch"),
        classes=7,
        home="https://dali-dl.github.io/project_iccv2017.html",
    ),
    "vlcs": Preset(
        title="VLCS",
        domains=("Caltech101", "LabelMe", "SUN09", "VOC2007"),
        classes=5,
        home="https://github.com/belaalb/G2DM#download-vlcs",
    ),
    "officehome": Preset(
        title="OfficeHome",
        domains=("Art", "Clipart", "Product", "Real World"),
        classes=65,
        home="https://www.hemanthdv.org/officeHomeDataset.html",
        aliases={"Real World": ("RealWorld", "Real_World", "Real")},
    ),
    "terraincognita": Preset(
        title="TerraIncognita",
        domains=("location_100", "location_38", "location_43", "location_46"),
        classes=10,
        home="https://beerys.github.io/CaltechCameraTraps/",
    ),
    "domainnet": Preset(
        title="DomainNet",
        domains=("clipart", "infograph", "painting", "quickdraw", "real", "sketch"),
        classes=345,
        home="https://ai.bu.edu/M3SDA/",
        steps=15001,
        evaluate_every=1000,
    ),
}


def domain_names(dataset: str, root: str | None) -> tuple[str, ...]:
    """Names of the domains, sorted, as DomainBed numbers them.

    Raises:
        InputError: The data cannot be found, or are not what `dataset` says.
    """
    if dataset == "pocket":
        return tuple(sorted(pocket.STYLES))
    return tuple(_domains(dataset, root))


def _domains(dataset: str, root: str | None) -> dict[str, Path]:
    """The folder of each domain; a preset's own domains, whatever lies beside them."""
    folder = _root(dataset, root)
    found = {path.name: path for path in sorted(_folders(folder))}
    preset = PRESETS.get(dataset)
    if preset is not None:
        return _of_preset(preset, found, root)
    if len(found) < 2:
        raise InputError(
            f"scenario.root={root}: found {len(found)} domain"
            f"{'' if len(found) == 1 else 's'} ({', '.join(found) or 'none'}), at "
            f"least 2 are needed to leave one out; the layout is domain/class/images"
        )
    return found


def _of_preset(
    preset: Preset, found: Mapping[str, Path], root: str | None
) -> dict[str, Path]:
    chosen = {}
    for name in preset.domains:
        names = (name, *preset.aliases.get(name, ()))
        path = next((found[n] for n in names if n in found), None)
        if path is None:
            raise InputError(
                f"scenario.root={root}: {preset.title} has the domains "
                f"{', '.join(preset.domains)}, found {', '.join(found) or 'no folder'} "
                f"(get {preset.title} from {preset.home}; scenario.dataset=folder "
                f"takes any domain/class/images)"
            )
        chosen[name] = path
    return chosen


def class_names(dataset: str, root: str | None) -> tuple[str, ...]:
    """Names of the classes, in the order of their labels.

    Raises:
        InputError: A domain lacks a class, or there are too few.
    """
    if dataset == "pocket":
        return pocket.KINDS
    found = {
        domain: {path.name for path in _folders(folder)}
        for domain, folder in _domains(dataset, root).items()
    }
    classes = tuple(sorted(set().union(*found.values())))
    if len(classes) < 2:
        raise InputError(
            f"scenario.root={root}: found {len(classes)} class"
            f"{'' if len(classes) == 1 else 'es'} ({', '.join(classes) or 'none'}), at "
            f"least 2 are needed; the layout is domain/class/images"
        )
    for domain, names in found.items():
        missing = [name for name in classes if name not in names]
        if missing:
            raise InputError(
                f"scenario.root={root}: domain '{domain}' lacks the class"
                f"{'es' if len(missing) > 1 else ''} {', '.join(missing[:3])}"
                f"{' ...' if len(missing) > 3 else ''}, which other domains have; "
                f"every domain needs the same classes"
            )
    wanted = PRESETS[dataset].classes if dataset in PRESETS else None
    if wanted is not None and len(classes) != wanted:
        raise InputError(
            f"scenario.root={root}: {PRESETS[dataset].title} has {wanted} classes, "
            f"found {len(classes)}; scenario.dataset=folder takes any number"
        )
    return classes


def read(
    dataset: str, root: str | None, *, size: int, cache: bool
) -> dict[str, Domain]:
    """Every domain by its name, in the order of `domain_names`.

    Args:
        dataset: `pocket`, `folder` or a preset.
        root: Folder of the data.
        size: S, pixels on a side.
        cache: Whether decoded pictures are kept, and taken, from the cache.

    Raises:
        InputError: The data are missing, incomplete or damaged.
    """
    if dataset == "pocket":
        names = domain_names(dataset, root)
        return {name: _pocket(name, size, cache) for name in names}
    classes = class_names(dataset, root)
    listed = {
        name: _files(folder, classes)
        for name, folder in _domains(dataset, root).items()
    }
    domains: dict[str, Domain] = {}
    damaged: list[Path] = []
    for name, (paths, labels) in listed.items():
        try:
            album = read_images(
                paths, size, root=_root(dataset, root), title=name, cache=cache
            )
        except DamagedImages as error:
            damaged += error.paths
            continue
        domains[name] = Domain(album.pictures, labels, album.sha256)
    if damaged:
        raise DamagedImages(damaged, sum(len(paths) for paths, _ in listed.values()))
    return domains


def _pocket(style: str, size: int, cache: bool) -> Domain:
    name = f"pocket-dg-{style}-{size}-{source.digest()[:16]}"
    album = keep_array(name, lambda: pocket.images(style, size=size)[0], cache=cache)
    labels = np.repeat(np.arange(len(pocket.KINDS), dtype=np.int64), pocket.PER_KIND)
    return Domain(album.pictures, labels, album.sha256)


def _files(
    domain: Path, classes: Sequence[str]
) -> tuple[list[Path], NDArray[np.int64]]:
    """The image files of a domain, class by class in the order of names, and labels.

    Raises:
        InputError: A class has none.
    """
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        files = sorted(
            path
            for path in (domain / name).rglob("*")
            if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")
        )
        if not files:
            raise InputError(
                f"{domain / name}: holds no image ({', '.join(sorted(EXTENSIONS))})"
            )
        paths += files
        labels += [label] * len(files)
    return paths, np.array(labels, dtype=np.int64)


def _root(dataset: str, root: str | None) -> Path:
    preset = PRESETS.get(dataset)
    where = f"; get {preset.title} from {preset.home}" if preset else ""
    if root is None:
        raise InputError(
            f"scenario.dataset={dataset} needs scenario.root=DIR, a folder of "
            f"domain/class/images{where}"
        )
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise InputError(f"scenario.root={root}: there is no such folder{where}")
    return folder


def _folders(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")]
