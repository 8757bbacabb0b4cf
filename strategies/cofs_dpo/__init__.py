"""COFS-DPO: the fast modules of all domains so far, as one weighted sum."""

from .strategy import CofsDpo

__all__ = ["CofsDpo"]
