"""Bytes and seconds as people read them."""

from __future__ import annotations

import math


def size(count: float) -> str:
    """Bytes in a unit that suits them: `12 kB`, `4.9 MB`, `345 MB`, `3.4 GB`."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 9.95:
            return f"{count:.1f} {unit}"
        if count < 999.5 or unit == "TB":
            break
    return f"{count:.0f} {unit}"


def duration(seconds: float) -> str:
    """What takes about so long, in one unit: `0.4 s`, `35 s`, `12 min`, `3.4 h`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 600:
        return f"{seconds / 60:.1f} min"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def clock(seconds: float) -> str:
    """What can be seen to run, to the second: `4 s`, `3:07`, `2:03:07`."""
    whole = math.ceil(seconds) if seconds > 0 else 0
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
