"""The one form of an error on the command line."""

from __future__ import annotations

import sys

from clbench.steady import steady


@steady
def complain(text: str) -> None:
    """`text` as one line on the error stream."""
    sys.stderr.write(f"error: {' '.join(text.split())}\n")
