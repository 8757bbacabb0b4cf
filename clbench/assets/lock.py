"""Lock files: which data and weights cells used, every file with its hash."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from clbench.assets.hub import Hub
from clbench.assets.need import Asset, File, Kind, Need
from clbench.contract import InputError

VERSION = 1
"""Of the form of lock files."""

SHOWN = 3
"""Files that differ are named, as many; the others are counted."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Kind
    name: str
    revision: str | None
    sha256: str
    bytes: int
    files: dict[str, tuple[int, str]]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: int
    assets: list[_Entry]


@dataclass(frozen=True)
class Lock:
    """What is allowed in.

    Attributes:
        path: The file that says so.
        assets: By their names.
    """

    path: Path
    assets: Mapping[str, Asset]

    def pinned(self, need: Need) -> Need:
        """`need` at the revision that the file has for it."""
        known = self.assets.get(need.name)
        if known is None or known.revision is None or not isinstance(need, Hub):
            return need
        return replace(need, pin=known.revision)

    def check(self, found: Asset) -> None:
        """Refuse what is not what the file says.

        Raises:
            InputError: It differs, or the file does not know it.
        """
        known = self.assets.get(found.name)
        if known is None:
            raise InputError(
                f"lock={self.path} knows no {found.kind} '{found.name}', only "
                f"{', '.join(self.assets) or 'nothing'}; `clbench data lock` writes a "
                f"new one"
            )
        differ = known.differences(found)
        if differ:
            raise InputError(
                f"{found.kind} '{found.name}' is not what lock={self.path} says: "
                f"{summary(differ)}"
            )


def summary(lines: list[str]) -> str:
    """The first of `lines`, and how many more there are."""
    more = f", and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return ", ".join(lines[:SHOWN]) + more


def dump(assets: Iterable[Asset]) -> str:
    """The content of a lock file: equal assets give equal bytes."""
    document = {
        "version": VERSION,
        "assets": [
            {
                "kind": entry.kind,
                "name": entry.name,
                "revision": entry.revision,
                "sha256": entry.sha256,
                "bytes": entry.bytes,
                "files": {file.name: [file.bytes, file.sha256] for file in entry.files},
            }
            for entry in sorted(assets, key=lambda entry: entry.name)
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def read(path: Path) -> Lock:
    """The lock file at `path`.

    Raises:
        InputError: There is none, or it is damaged; says where.
    """
    try:
        content = path.expanduser().read_bytes()
        document = _Document.model_validate_json(content)
    except OSError as error:
        raise InputError(
            f"lock={path}: {error.strerror}; `clbench data lock` writes one"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "its start"
        raise InputError(
            f"lock={path} is no lock file: at {place}: {first['msg']}"
        ) from error
    if document.version != VERSION:
        raise InputError(
            f"lock={path} is of version {document.version}, this clbench reads "
            f"{VERSION}"
        )
    found = {}
    for entry in document.assets:
        files = tuple(
            File(name, size, digest) for name, (size, digest) in entry.files.items()
        )
        asset = Asset(entry.kind, entry.name, entry.revision, files)
        if asset.sha256 != entry.sha256:
            raise InputError(
                f"lock={path}: the files of '{entry.name}' do not have the hash that "
                f"stands beside them: it was edited or damaged"
            )
        found[entry.name] = asset
    return Lock(path, found)
