"""CoDyRA: low-rank updates whose ranks are selected by gates while they are learned."""

from .strategy import Codyra

__all__ = ["Codyra"]
