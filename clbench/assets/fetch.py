"""Plain files from addresses: gone on with where a download stopped, and verified."""

from __future__ import annotations

import gzip
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from clbench.assets.need import Plain
from clbench.contract import InputError
from clbench.inside import inside

FOLDER = "downloads"
"""Where downloads lie until they are whole, below the folder of the data."""

PATIENCE = 10.0
"""Seconds to wait for a server before saying that it cannot be reached."""

CHUNK = 2**16


def fetch(plain: Plain, root: Path) -> Path:
    """`plain` below `root`: fetched, compared with its hash and unpacked.

    What was fetched in part is gone on with.

    Args:
        plain: Where it is, and what it must be.
        root: Folder of the data; made where there is none.

    Returns:
        Where it lies, or what it was unpacked to.

    Raises:
        InputError: It cannot be had, or is not what it must be.
    """
    import pooch
    import requests

    name = plain.url.rstrip("/").rpartition("/")[2]
    target = root if plain.into == "." else inside(root, *plain.into.split("/"))
    try:
        root.mkdir(parents=True, exist_ok=True)
        partial = inside(root, FOLDER, f"{name}.part")
        fetched = Path(
            pooch.retrieve(
                plain.url,
                known_hash=plain.known,
                fname=name,
                path=root / FOLDER,
                downloader=_resuming(partial),
            )
        )
        if plain.unpack:
            _unpack(fetched, target)
            fetched.unlink()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            fetched.replace(target)
    except ValueError as error:  # Of pooch: another hash.
        raise InputError(
            f"{plain.url}: what came has another hash than {plain.known}; nothing is "
            f"kept: try again, or get it another way"
        ) from error
    except (requests.RequestException, EOFError, tarfile.TarError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{plain.url} cannot be had ({reason[:160]}); the same command goes on "
            f"where it stopped"
        ) from error
    return target


def _resuming(partial: Path) -> Callable[..., None]:
    """A downloader of pooch that keeps what it has in `partial`."""

    def download(url: str, output_file: str, _: Any, check_only: bool = False) -> None:
        import requests

        had = partial.stat().st_size if partial.is_file() else 0
        headers = {"Accept-Encoding": "identity"}
        if had:
            headers["Range"] = f"bytes={had}-"
        with requests.get(url, headers=headers, stream=True, timeout=PATIENCE) as got:
            whole = had and got.status_code == requests.codes.range_not_satisfiable
            if not whole:
                got.raise_for_status()
                goes_on = got.status_code == requests.codes.partial_content
                _write(got, partial, had if goes_on else 0)
        shutil.move(partial, output_file)

    return download


def _write(got: Any, partial: Path, had: int) -> None:
    """Write an answer behind the first `had` bytes of `partial`, with a bar."""
    length = got.headers.get("Content-Length")
    bar = tqdm(
        total=None if length is None else had + int(length),
        initial=had,
        desc=partial.stem,
        unit="B",
        unit_scale=True,
        leave=False,
    )
    partial.parent.mkdir(parents=True, exist_ok=True)
    with bar, partial.open("ab" if had else "wb") as file:
        for chunk in got.iter_content(CHUNK):
            file.write(chunk)
            bar.update(len(chunk))


def _unpack(archive: Path, target: Path) -> None:
    """Take apart a `.tar.gz` into a folder, or a `.gz` into a file."""
    if archive.name.endswith((".tar.gz", ".tgz", ".tar")):
        with tarfile.open(archive) as file:
            # No path in it leads out of the folder, and no file is a device or a link.
            file.extractall(target, filter="data")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    with gzip.open(archive) as packed, partial.open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    partial.replace(target)
