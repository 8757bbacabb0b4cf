"""Paths that are put together from names: they stay in the folder they belong to."""

from __future__ import annotations

from pathlib import Path

from clbench.contract import InputError


def inside(folder: Path, *names: str) -> Path:
    """`folder/name/name...`, which lies in `folder` wherever links lead.

    The folder itself may be a link.

    Args:
        folder: Whose content it shall be.
        names: Of folders and, last, of a file; each a plain name.

    Raises:
        InputError: A name is a path of its own, or a link leads out of the folder.
    """
    for name in names:
        if not name or name in (".", "..") or set(name) & set("/\\\0"):
            raise InputError(
                f"'{name}' cannot be the name of a file or folder in {folder}: a name "
                f"has no '/' and is not '..'"
            )
    path = folder.joinpath(*names)
    real, root = path.resolve(), folder.resolve()
    if not real.is_relative_to(root):
        raise InputError(
            f"{path} leads out of {folder}, to {real}: remove that link, or name the "
            f"folder it leads to (out=DIR)"
        )
    return path
