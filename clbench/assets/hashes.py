"""SHA-256 of files, remembered: a file that is as it was is not read again.

What is remembered lies in the cache, under a file's path, size and time. Where the
cache cannot be used, files are read.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from platformdirs import user_cache_dir
from tqdm import tqdm

from clbench.assets.need import Asset, File, Need, damaged

SLOW = 1.0
"""Seconds after which a progress bar is shown."""

_TABLE = (
    "CREATE TABLE IF NOT EXISTS files "
    "(path TEXT PRIMARY KEY, size INTEGER, time INTEGER, sha256 TEXT)"
)


def asset(need: Need, place: Path, *, again: bool = False) -> Asset:
    """`need` as it lies at `place`.

    Args:
        need: What it is.
        place: Where it lies.
        again: Whether every file is read, whatever is remembered.

    Raises:
        InputError: A file cannot be read.
    """
    paths = need.files(place)
    digests = sha256(paths, title=need.name, again=again)
    root = place if place.is_dir() else place.parent
    files = [
        File(path.relative_to(root).as_posix(), path.stat().st_size, digest)
        for path, digest in zip(paths, digests, strict=True)
    ]
    files.sort(key=lambda file: file.name)
    return Asset(need.kind, need.name, need.revision(place), tuple(files))


def sha256(paths: Sequence[Path], *, title: str, again: bool = False) -> list[str]:
    """SHA-256 of each file's content.

    Args:
        paths: The files.
        title: Shown by the progress bar.
        again: Whether every file is read, whatever is remembered.

    Raises:
        InputError: One cannot be read.
    """
    facts = [_facts(path) for path in paths]
    with _memory() as memory:
        known = {} if again or memory is None else _recall(memory, facts)
        missing = [n for n, fact in enumerate(facts) if fact not in known]
        bar = tqdm(
            total=sum(facts[n][1] for n in missing),
            desc=f"hash {title}",
            unit="B",
            unit_scale=True,
            leave=False,
            delay=SLOW,
        )
        with bar, ThreadPoolExecutor() as pool:
            for n, digest in zip(
                missing, pool.map(lambda n: _read(paths[n]), missing), strict=True
            ):
                known[facts[n]] = digest
                bar.update(facts[n][1])
        if memory is not None and missing:
            rows = [(*facts[n], known[facts[n]]) for n in missing]
            # Another process may hold it for long: forgetting costs time alone.
            _keep(memory, rows)
    return [known[fact] for fact in facts]


def remembered(paths: Sequence[Path]) -> list[str | None]:
    """What each file's SHA-256 was when it was last read, as it is now by its time."""
    facts = [_facts(path) for path in paths]
    with _memory() as memory:
        known = {} if memory is None else _recall(memory, facts)
    return [known.get(fact) for fact in facts]


_Facts = tuple[str, int, int]


def _facts(path: Path) -> _Facts:
    try:
        found = path.stat()
    except OSError as error:
        raise damaged(path, error) from error
    # Not resolved, which asks the disk for every folder above each file.
    return str(path.absolute()), found.st_size, found.st_mtime_ns


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise damaged(path, error) from error


@contextmanager
def _memory() -> Iterator[sqlite3.Connection | None]:
    """The table of what is remembered; None where there can be none."""
    folder = Path(os.environ.get("CLBENCH_CACHE") or user_cache_dir("clbench"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        memory = sqlite3.connect(folder / "hashes.sqlite", timeout=5)
        memory.execute(_TABLE)
    except (OSError, sqlite3.Error):
        yield None
        return
    with closing(memory):
        yield memory


def _recall(memory: sqlite3.Connection, facts: Iterable[_Facts]) -> dict[_Facts, str]:
    found = {}
    try:
        for fact in facts:
            row = memory.execute(
                "SELECT sha256 FROM files WHERE path = ? AND size = ? AND time = ?",
                fact,
            ).fetchone()
            if row is not None:
                found[fact] = str(row[0])
    except sqlite3.Error:
        return {}
    return found


def _keep(memory: sqlite3.Connection, rows: list[tuple[str, int, int, str]]) -> None:
    try:
        with memory:
            memory.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", rows)
    except sqlite3.Error:
        return
