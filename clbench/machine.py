"""What goes wrong because of the machine, and not because of a line of code."""

from __future__ import annotations

import errno

FAULTS = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),  # no room
        *(errno.EROFS, errno.EACCES, errno.EPERM),  # no right
        *(errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG),  # something in the way
        *(errno.EIO, errno.ESTALE, errno.ENODEV),  # a disk that fails or is gone
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),  # nothing left to hand out
    }
)
"""Errors of the system that no change of a program would help against."""


NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Those that removing a file helps against."""


def full(error: OSError) -> bool:
    """Whether a disk, or what somebody may have of it, is full."""
    return error.errno in NO_ROOM


def at_fault(error: BaseException) -> bool:
    """Whether a line says all there is to say of `error`, and a traceback no more."""
    if isinstance(error, OSError):
        return error.errno in FAULTS
    # Of torch, which a command that needs none of it does not import for this.
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def line(error: BaseException) -> str:
    """`error` in one line: what it is about, and what is wrong."""
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}"
    return next(iter(str(error).splitlines()), "") or type(error).__name__
