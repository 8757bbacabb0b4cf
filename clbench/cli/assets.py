"""`clbench data`: what cells read, whether it is here, and as it was."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clbench import atomic, config, registry
from clbench.assets import fetch, guard, hashes, hub, lock
from clbench.assets.hub import Hub
from clbench.assets.need import Asset, Local, Need, unique
from clbench.cli.complaint import complain
from clbench.contract import InputError
from clbench.masking import homely
from clbench.options import Options
from clbench.quantities import size
from clbench.resolved import Cell

MISSING = 1
"""Exit code where something is missing or differs."""


def show(words: Sequence[str], console: Console) -> None:
    """List what the cells of `words` read; without words, all that can be read.

    Raises:
        InputError: The words name no cells.
    """
    if words:
        cells, _ = _resolved(words, "list")
        console.print(_table(guard.needs(cells)))
        return
    known = [
        need
        for name in registry.find("scenario")
        for need in registry.load("scenario", name).sources()
    ]
    console.print(_catalogue(known))
    console.print(_cached())
    console.print(
        "what given cells read, and whether it is here: clbench data list "
        "strategy=NAME scenario=NAME KEY=VALUE...",
        highlight=False,
    )


def prepare(words: Sequence[str], console: Console) -> int:
    """Fetch what the cells of `words` read and is not here; the exit code.

    Raises:
        InputError: The words name no cells.
    """
    cells, _ = _resolved(words, "prepare")
    left = 0
    for need in guard.needs(cells):
        try:
            place = _prepared(need)
        except InputError as error:
            complain(str(error))
            left += 1
            continue
        if place is None:
            complain(f"{guard.told(need)}: get it there, as nothing here can fetch it")
            left += 1
            continue
        found = hashes.asset(need, place)
        console.print(_line(found, place), highlight=False, soft_wrap=True)
    return MISSING if left else 0


def write(words: Sequence[str], console: Console) -> int:
    """Write the lock file of the cells of `words`; the exit code.

    Raises:
        InputError: The words name no cells, something is missing, or two different
            things have one name.
    """
    cells, options = _resolved(words, "lock")
    wanted = guard.needs(cells)
    missing = [need for need in wanted if need.here() is None]
    if missing:
        lines = "; ".join(guard.told(need) for need in missing)
        raise InputError(f"nothing is locked, as there is missing: {lines}")
    text = lock.dump(_assets(wanted, again=False))
    if options.lock is None:
        sys.stdout.write(text)
    else:
        try:
            atomic.write(options.lock, text.encode())
        except OSError as error:
            raise InputError(
                f"lock={options.lock} cannot be written ({error.strerror or error})"
            ) from error
        console.print(
            f"{options.lock}: {len(wanted)} data sets and weights; run with "
            f"lock={options.lock}",
            highlight=False,
            soft_wrap=True,
        )
    return 0


def verify(words: Sequence[str], console: Console) -> int:
    """Read every file again and say what is not as it was; the exit code.

    Args:
        words: Records, or the words of cells. Cells are compared with `lock=FILE`, or
            with what was read of their files before.
        console: Shows it.

    Raises:
        InputError: There are no such records, cells or lock file.
    """
    differ = 0
    paths = [Path(word) for word in words if word.endswith(".json") and "=" not in word]
    for path in paths:
        differ += _verify_record(path, console)
    rest = [word for word in words if Path(word) not in paths]
    if rest or not paths:
        differ += _verify_cells(rest, console)
    return MISSING if differ else 0


def _verify_record(path: Path, console: Console) -> int:
    """How many of what a record read are not what they were."""
    from clbench import record as records

    made = records.read(path)
    now = {need.name: need for need in guard.needs([Cell.from_record(made)])}
    if not made.assets:
        console.print(f"{path}: says nothing of data or weights", highlight=False)
    differ = 0
    for then in made.assets:
        need = now.get(then.name)
        place = None if need is None else need.here()
        if need is None or place is None:
            differ += _said(console, then.name, ["it is not here"])
            continue
        found = hashes.asset(need, place, again=True)
        same = found.sha256 == then.sha256
        lines = [] if same else ["its files have other content, or are others"]
        differ += _said(console, then.name, lines)
    return differ


def _verify_cells(words: Sequence[str], console: Console) -> int:
    """How many of what cells read are not what a lock file, or memory, says."""
    cells, options = _resolved(words, "verify")
    known = None if options.lock is None else lock.read(options.lock)
    differ = 0
    for asked in guard.needs(cells):
        need = asked if known is None else known.pinned(asked)
        place = need.here()
        if place is None:
            differ += _said(console, need.name, [need.lacking()])
            continue
        before = _before(need, place)
        found = hashes.asset(need, place, again=True)
        if known is None:
            lines = [] if before is None else before.differences(found)
        elif need.name in known.assets:
            lines = known.assets[need.name].differences(found)
        else:
            lines = [f"{options.lock} does not know it"]
        differ += _said(console, need.name, [*lines, *_damaged(need, place)])
    return differ


def _damaged(need: Need, place: Path) -> list[str]:
    """Files of a repository of the hub that are not what the hub has; one line each."""
    found = []
    for path in need.files(place) if isinstance(need, Hub) else ():
        try:
            hub.verify(path)
        except InputError as error:
            found.append(str(error))
    return found


def _before(need: Need, place: Path) -> Asset | None:
    """`need` as it was when it was last read; None where nobody remembers all of it."""
    paths = need.files(place)
    if None in hashes.remembered(paths):
        return None
    return hashes.asset(need, place)


def _said(console: Console, name: str, lines: list[str]) -> int:
    """Say how `name` stands; 1 where it differs."""
    text = "[green]as it was[/]" if not lines else f"[red]{escape('; '.join(lines))}[/]"
    console.print(f"{escape(name)}: {text}", highlight=False, soft_wrap=True)
    return bool(lines)


def _resolved(words: Sequence[str], command: str) -> tuple[list[Cell], Options]:
    """The cells and options that `words` name.

    Raises:
        InputError: They name none.
    """
    if not words:
        raise InputError(
            f"clbench data {command} needs the words of cells, as clbench run takes "
            f"them: strategy=NAME scenario=NAME KEY=VALUE..."
        )
    return config.resolve(words)


def _prepared(need: Need) -> Path | None:
    """Where `need` lies, after fetching it where that can be done."""
    place = need.here()
    if isinstance(need, Hub):
        if place is None:
            return need.fetch()
        for path in need.files(place):
            hub.verify(path)
        return place
    if place is None and isinstance(need, Local) and need.place is not None:
        # An archive has no file of its own: all of it, or none, is there.
        for plain in need.absent() or need.downloads:
            fetch.fetch(plain, need.place)
        return need.here()
    return place


def _assets(needs: Sequence[Need], *, again: bool) -> list[Asset]:
    """Each of `needs`, which are all here, once.

    Raises:
        InputError: Two of them have one name and are not equal.
    """
    found: dict[str, Asset] = {}
    for need in unique(needs):
        place = need.here()
        assert place is not None
        entry = hashes.asset(need, place, again=again)
        if found.setdefault(need.name, entry) != entry:
            raise InputError(
                f"two different {need.kind} are called '{need.name}': rename one of "
                f"their folders"
            )
    return list(found.values())


def _table(needs: Sequence[Need]) -> Table:
    table = Table("kind", "name", "here", "size", "licence", "where")
    for need in needs:
        place = need.here()
        if place is None:
            row = ("[red]no[/]", "", need.licence, f"{need.lacking()}; {need.home}")
        else:
            count = sum(path.stat().st_size for path in need.files(place))
            at = need.revision(place)
            where = f"{homely(str(place))}" if at is None else f"revision {at[:12]}"
            row = ("[green]yes[/]", size(count), need.licence, where)
        table.add_row(need.kind, need.name, *row)
    return table


def _catalogue(needs: Sequence[Need]) -> Table:
    table = Table("data", "how to ask for it", "fetched by", "licence")
    table.add_column("home", overflow="fold")
    for need in needs:
        ways = bool(need.downloads) if isinstance(need, Local) else need.fetchable
        way = "prepare" if ways else "hand"
        table.add_row(need.name, escape(need.ask), way, need.licence, need.home)
    return table


def _cached() -> Table:
    """What lies in the hub's cache."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    table = Table("in the cache of the hub", "holds", "size", "revisions")
    try:
        kept = sorted(scan_cache_dir().repos, key=lambda entry: entry.repo_id)
    except CacheNotFound:
        kept = []
    for entry in kept:
        revisions = ", ".join(sorted(r.commit_hash[:12] for r in entry.revisions))
        held = size(entry.size_on_disk)
        table.add_row(entry.repo_id, entry.repo_type, held, revisions)
    return table


def _line(found: Asset, place: Path) -> str:
    at = f" at {found.revision[:12]}" if found.revision else ""
    folder = escape(str(homely(str(place))))
    return (
        f"{found.kind} {escape(found.name)}{at}: {len(found.files)} files, "
        f"{size(found.bytes)}, {found.sha256[:12]}, in {folder}"
    )
