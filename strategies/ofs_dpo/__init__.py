"""OFS-DPO: two low-rank modules of different speed, of which one chases the other."""

from .strategy import OfsDpo

__all__ = ["OfsDpo"]
