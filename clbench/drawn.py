"""Figures as files: each is whole or not there."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from clbench import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(figure: Figure, path: Path, form: str) -> None:
    """Write `figure` to `path`; equal figures give equal files.

    Args:
        figure: What is drawn.
        path: Of the file.
        form: Such as `png` or `svg`.

    Raises:
        OSError: It cannot be written; what was there before is as it was.
        ValueError: There is no such form.
    """
    content = io.BytesIO()
    facts = {"Date": None} if form == "svg" else {}
    figure.savefig(content, format=form, dpi=150, metadata=facts)
    atomic.write(path, content.getvalue())
