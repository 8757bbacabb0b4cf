"""Repositories of the Hugging Face hub: pinned, whole, and from no pickle."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from clbench.assets.need import Need
from clbench.assets.weights import PICKLES
from clbench.contract import InputError

PATIENCE = 10.0
"""Seconds to wait for the hub before saying that it cannot be reached."""

MODEL = (
    *("model.safetensors", "model-*.safetensors", "adapter_model.safetensors"),
    *("*.json", "*.txt", "*.model", "*.jinja", "*.py"),
)
"""Files of a model that are read; `*.py` runs only if it is trusted."""

DATA = ("*.json", "*.jsonl", "*.csv", "*.tsv", "*.txt", "*.parquet", "*.arrow", "*.md")
"""Files of a data set that are read, compressed ones as well."""

CONVERTER = "SFconvertbot"
"""Offers safetensors of older models as pull requests, which are revisions."""


@dataclass(frozen=True, kw_only=True)
class Hub(Need):
    """A repository of the hub.

    Attributes:
        repository: `owner/name`.
        pin: A branch, tag, commit or `refs/pr/N`; None is `main`.
        type: What it holds.
        wanted: Patterns of the files that are read, in its top folder for a model.
    """

    repository: str
    pin: str | None = None
    type: Literal["model", "dataset"] = "model"
    wanted: tuple[str, ...] = MODEL

    def here(self) -> Path | None:
        """Its folder in the hub's cache, where nothing that is read is missing."""
        from huggingface_hub import snapshot_download

        try:
            folder = Path(snapshot_download(**self._asked, local_files_only=True))
        except (OSError, ValueError):
            return None
        return folder if self._whole(folder) else None

    def lacking(self) -> str:
        """It is not in the cache, or not all of it."""
        at = f"@{self.pin}" if self.pin else ""
        return f"{self.repository}{at} of the Hugging Face hub is not in the cache"

    @property
    def fetchable(self) -> bool:
        """The hub has it."""
        return True

    def files(self, place: Path) -> list[Path]:
        """Those that are read."""
        found = [p for p in place.rglob("*") if p.is_file() and self._reads(p, place)]
        return sorted(found)

    def revision(self, place: Path) -> str | None:
        """Its commit."""
        return place.name if place.parent.name == "snapshots" else None

    def fetch(self) -> Path:
        """Its folder, after fetching what is not here, with progress bars.

        Files that were fetched in part are gone on with, and every file is compared
        with the hash that the hub has for it.

        Raises:
            InputError: It cannot be had, or has no weights but pickles.
        """
        from huggingface_hub import HfApi, snapshot_download

        with self._said():
            info: Any = HfApi().repo_info(
                self.repository,
                repo_type=self.type,
                revision=self.pin,
                timeout=PATIENCE,
            )
        names = [entry.rfilename for entry in info.siblings or ()]
        if self.type == "model":
            self._check(names)
        with self._said():
            folder = Path(snapshot_download(**self._asked, etag_timeout=PATIENCE))
        for path in self.files(folder):
            verify(path)
        return folder

    @property
    def _asked(self) -> dict[str, Any]:
        return {
            "repo_id": self.repository,
            "repo_type": self.type,
            "revision": self.pin,
            "allow_patterns": [
                *self.wanted,
                *(f"{p}.{end}" for p in self.wanted for end in _PACKED),
            ],
            # Below are the same weights for other programs.
            "ignore_patterns": ["*/*"] if self.type == "model" else None,
        }

    def _reads(self, path: Path, place: Path) -> bool:
        inside = path.relative_to(place)
        if self.type == "model" and len(inside.parts) > 1:
            return False
        return path.suffix not in PICKLES

    def _whole(self, folder: Path) -> bool:
        if self.type == "dataset":
            return any(self.files(folder))
        configured = any(folder.glob("*config.json"))
        if not (configured and any(folder.glob("*.safetensors"))):
            return False
        index = folder / "model.safetensors.index.json"
        if not index.is_file():
            return True
        shards = set(re.findall(r'"([^"]+\.safetensors)"', index.read_text()))
        return all((folder / shard).is_file() for shard in shards)

    def _check(self, names: Sequence[str]) -> None:
        """Refuse a repository without safetensors; say which of its revisions has them.

        Raises:
            InputError: So it is.
        """
        top = [name for name in names if "/" not in name]
        if any(name.endswith(".safetensors") for name in top):
            return
        pickles = [name for name in top if Path(name).suffix in PICKLES]
        if not pickles:
            raise InputError(f"{self._spoken}: there are no weights in that repository")
        there = next(self._converted(), None)
        way = (
            f"{self.repository}@{there} has safetensors of them"
            if there
            else "look for safetensors in its pull requests (NAME@refs/pr/N)"
        )
        raise InputError(
            f"{self._spoken}: its weights are a pickle ({pickles[0]}), which can run "
            f"code when it is read; {way}, or save a folder with save_pretrained"
        )

    def _converted(self) -> Iterator[str]:
        """Pull requests that offer safetensors of it, as revisions."""
        from huggingface_hub import HfApi

        try:
            for entry in HfApi().get_repo_discussions(
                self.repository, author=CONVERTER, discussion_type="pull_request"
            ):
                if "safetensors" in entry.title.lower():
                    yield f"refs/pr/{entry.num}"
        except (OSError, ValueError):  # Nothing is lost but a hint.
            return

    @property
    def _spoken(self) -> str:
        return f"{self.key}={self.name}" if self.key else self.name

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Within, whatever the hub's library raises becomes one line."""
        try:
            yield
        except Exception as error:  # Of whatever HTTP client the library uses.
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(
                f"{self._spoken}: {self._what} cannot be had ({reason[:160]}); "
                f"{self._instead}"
            ) from error

    @property
    def _what(self) -> str:
        return "the data set" if self.type == "dataset" else "its weights"

    @property
    def _instead(self) -> str:
        if self.type == "dataset":
            return "name a file of JSON lines instead"
        return (
            f"name a folder that holds them, or {self.key}=pocket, which ships with "
            f"clbench"
        )


_PACKED = ("gz", "zst", "xz", "bz2", "zip")


def verify(path: Path) -> None:
    """Compare a file of the hub's cache with the hash that it is called by there.

    Large files are called by the SHA-256 of their content, others by git's hash. A file
    that is no link to one is not looked at.

    Raises:
        InputError: It is damaged.
    """
    from clbench.assets.hashes import sha256

    name = path.resolve().name
    if re.fullmatch(r"[0-9a-f]{64}", name):
        found = sha256([path], title=path.name)[0]
    elif re.fullmatch(r"[0-9a-f]{40}", name):
        content = path.read_bytes()
        head = f"blob {len(content)}\0".encode()
        found = hashlib.sha1(head + content, usedforsecurity=False).hexdigest()
    else:
        return
    if found != name:
        raise InputError(
            f"{path} is damaged: its hash is {found[:12]}, the hub's {name[:12]}; "
            f"remove {path.resolve()} and run it again"
        )


def split(name: str) -> tuple[str, str | None]:
    """`owner/model@REVISION` -> the repository, and the revision if one is named."""
    repository, _, pin = name.partition("@")
    return repository, pin or None
