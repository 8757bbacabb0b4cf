"""The source that draws the embedded world, as one number."""

from __future__ import annotations

import hashlib
from pathlib import Path


def digest() -> str:
    """Hash of every module that pictures and texts come from.

    Names what is kept of them in caches, so that no pixel of another renderer is ever
    taken for one of this.
    """
    folder = Path(__file__).parent
    content = hashlib.sha256()
    for path in sorted([*folder.glob("*.py"), *(folder / "views").glob("*.py")]):
        content.update(path.read_bytes())
    return content.hexdigest()
