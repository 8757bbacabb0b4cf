"""IncreLoRA: low-rank updates whose ranks grow where it matters most."""

from .strategy import Increlora

__all__ = ["Increlora"]
