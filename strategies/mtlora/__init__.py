"""MTLoRA: low-rank updates that tasks share, and some of their own in last blocks."""

from .strategy import Mtlora

__all__ = ["Mtlora"]
