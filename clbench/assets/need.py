"""What a cell reads: data sets and weights, each with its name and its files."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import Literal

from clbench.contract import InputError

Kind = Literal["data", "weights"]


@dataclass(frozen=True)
class Plain:
    """A file at an address.

    Attributes:
        url: Where it is.
        known: Its hash, as `sha256:...` or `md5:...`.
        into: Where it lies once it is here, below the folder of the data; of an
            archive, the folder that it is unpacked to.
        unpack: Whether it is compressed, or an archive, that is taken apart.
    """

    url: str
    known: str
    into: str
    unpack: bool = False


@dataclass(frozen=True, kw_only=True)
class Need(ABC):
    """A data set or weights, of which a cell reads the files.

    Attributes:
        kind: Which of both.
        name: What records and lock files call it, wherever it lies.
        key: The parameter that names it, such as `scenario.root`.
        home: Where it can be had, or how.
        licence: Under which; empty where nobody said.
        ask: What a command line says to use it, such as `scenario.dataset=pacs`.
    """

    kind: Kind
    name: str
    key: str = ""
    home: str = ""
    licence: str = ""
    ask: str = ""

    @abstractmethod
    def here(self) -> Path | None:
        """The folder or file of it on this machine; None where it is not, or in part.

        Never asks the network.
        """

    @abstractmethod
    def lacking(self) -> str:
        """What is not here, in a few words; how to get it is said elsewhere."""

    @property
    @abstractmethod
    def fetchable(self) -> bool:
        """Whether `clbench data prepare` can fetch it."""

    @abstractmethod
    def files(self, place: Path) -> list[Path]:
        """The files of it that are read, below `place` or `place` itself, sorted."""

    def revision(self, place: Path) -> str | None:
        """Which version lies at `place`; None where its hash is all that tells."""
        return None


@dataclass(frozen=True, kw_only=True)
class Local(Need):
    """Files in a folder of the user's, or in the package.

    Attributes:
        place: The folder, or a file; None where the user has named none.
        patterns: Of the files that are read, below the folder (`*` spans folders).
        downloads: Files that can be fetched into it.
        deep: Whether folders within it are looked into.
    """

    place: Path | None
    patterns: tuple[str, ...] = ("*",)
    downloads: tuple[Plain, ...] = ()
    deep: bool = True

    def here(self) -> Path | None:
        """Its place, where at least one file is, and every one that can be fetched."""
        if self.place is None or not self.place.exists() or self.absent():
            return None
        return self.place if self.files(self.place) else None

    def absent(self) -> list[Plain]:
        """Files that can be fetched and are not there; of archives nobody can tell."""
        place = self.place
        return [p for p in self.downloads if place and not (place / p.into).exists()]

    def lacking(self) -> str:
        """The folder or file that there is not, or that is empty of what is read."""
        if self.place is None:
            return f"{self.key}=DIR is not given"
        if not self.place.exists():
            return f"there is no {self.place}"
        if absent := self.absent():
            return f"{self.place} has no {absent[0].into}"
        return f"{self.place} has no {' or '.join(self.patterns)}"

    @property
    def fetchable(self) -> bool:
        """Whether there are addresses, and a folder for what lies there."""
        return bool(self.downloads) and self.place is not None

    def files(self, place: Path) -> list[Path]:
        """Files whose path below `place` fits a pattern; none that are hidden."""
        if place.is_file():
            return [place]
        # Some data sets have half a million files: no more is done for each than must.
        read = re.compile("|".join(map(translate, self.patterns)))
        found = []
        for folder, inner, names in os.walk(place, followlinks=True):
            inner[:] = [n for n in inner if self.deep and not n.startswith(".")]
            start = Path(folder).relative_to(place).as_posix()
            prefix = "" if start == "." else f"{start}/"
            found += [
                Path(folder) / name
                for name in names
                if not name.startswith(".") and read.match(f"{prefix}{name}")
            ]
        return sorted(found)


@dataclass(frozen=True)
class File:
    """One file of an asset.

    Attributes:
        name: Its path below the asset's folder.
        bytes: Its size.
        sha256: Of its content.
    """

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Asset:
    """What a need was, when it was read: every file with its hash.

    Attributes:
        kind: Data or weights.
        name: What records and lock files call it.
        revision: Which version, where it comes from the hub.
        files: In the order of their names.
    """

    kind: Kind
    name: str
    revision: str | None
    files: tuple[File, ...]

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.bytes for file in self.files)

    @property
    def sha256(self) -> str:
        """Of the list of its files, their sizes and hashes."""
        import hashlib

        lines = (f"{f.sha256} {f.bytes} {f.name}\n" for f in self.files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def differences(self, other: Asset) -> list[str]:
        """What is another in `other`: a line for each file, in words."""
        mine = {file.name: file for file in self.files}
        theirs = {file.name: file for file in other.files}
        found = []
        for name in sorted({*mine, *theirs}):
            if name not in theirs:
                found.append(f"{name} is not there")
            elif name not in mine:
                found.append(f"{name} is there as well")
            elif mine[name].sha256 != theirs[name].sha256:
                found.append(f"{name} has other content")
        if self.revision != other.revision:
            found.append(f"revision {other.revision} instead of {self.revision}")
        return found


def unique(needs: Sequence[Need]) -> list[Need]:
    """`needs`, each once, in their order."""
    return list(dict.fromkeys(needs))


def damaged(path: Path, error: OSError) -> InputError:
    """A file of an asset cannot be read."""
    return InputError(f"{path} cannot be read ({error.strerror or error})")
