"""The folder of data that a user names."""

from __future__ import annotations

from pathlib import Path


def folder(root: str | None) -> Path | None:
    """`root` as a path, `~` being the home folder; None where none is named."""
    return None if root is None else Path(root).expanduser()
