"""The two newest checkpoints of a cell, beside its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from glob import escape
from pathlib import Path
from typing import Any

from clbench import atomic, record
from clbench.checkpoint.file import Checkpoint, Damaged, encode, read, verified


@dataclass(frozen=True)
class Identity:
    """What a checkpoint belongs to; one of anything else is not gone on from.

    Attributes:
        parts: What it is of -> a hash or a version, such as the source of a plugin.
    """

    parts: Mapping[str, str]

    def differs(self, other: Mapping[str, str]) -> str | None:
        """The first part that is another in `other`; None where all agree."""
        for name in {**self.parts, **other}:
            if self.parts.get(name) != other.get(name):
                return name
        return None


class Store:
    """Writes, finds and removes the checkpoints of one cell.

    Args:
        path: Of the cell's record.
        identity: What they belong to.
        tell: Takes a line for the user.
        writes: Whether this process is the one that writes and removes.
    """

    def __init__(
        self,
        path: Path,
        identity: Identity,
        tell: Callable[[str], None],
        *,
        writes: bool = True,
    ) -> None:
        self._writes = writes
        self._paths = record.checkpoint_paths(path)
        self._identity, self._tell = identity, tell
        self._count = 0

    def write(self, facts: Mapping[str, Any], state: Any) -> None:
        """Write a checkpoint over the older of the two.

        Args:
            facts: What `Checkpoint.facts` has besides the identity.
            state: Tensors and plain values.

        Raises:
            TypeError: `state` has something else.
            OSError: It cannot be written; those before are as they were.
        """
        count = self._count + 1
        known = {
            **facts,
            "identity": dict(self._identity.parts),
            "count": count,
            "written": datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        path = self._paths[count % len(self._paths)]
        atomic.write(path, *encode(known, state))
        # A write that failed takes no turn: the next is over the older one as well.
        self._count = count

    def newest(self) -> Checkpoint | None:
        """The newest whole checkpoint of this identity, or None; says what is wrong."""
        found: list[Checkpoint] = []
        damaged: list[str] = []
        for path in self._paths:
            try:
                found.append(read(path))
            except FileNotFoundError:
                continue
            except (Damaged, OSError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                damaged.append(f"{path.name} is damaged ({reason})")
        # By their number: clocks jump.
        found.sort(key=lambda each: each.facts["count"], reverse=True)
        for line in damaged:
            then = "the other one is used" if found else "the cell starts over"
            self._tell(f"checkpoint {line}: {then}")
        if not found:
            return None
        self._count = found[0].facts["count"]
        differs = self._identity.differs(found[0].facts["identity"])
        if differs is not None:
            self._tell(
                f"there is a checkpoint, but of another {differs}: the cell starts over"
            )
            return None
        return found[0]

    def make_way(self) -> bool:
        """Remove one that is damaged, or the older of two; False: there is only one."""
        found = []
        for path in self._paths:
            try:
                found.append((verified(path)["count"], path))
            except Damaged:
                path.unlink()
                return True
            except OSError:
                continue
        if len(found) < len(self._paths):
            return False
        min(found)[1].unlink()
        return True

    def remove(self) -> None:
        """Remove what there is, and what a process left that was killed in a write."""
        for path in self._paths if self._writes else ():
            path.unlink(missing_ok=True)
            for left in path.parent.glob(f".{escape(path.name)}.*"):
                left.unlink(missing_ok=True)
