"""Continual learning of a CLIP: MTIL, X-TAIL, embedded questions, any folders."""

from .scenario import ContinualClip

__all__ = ["ContinualClip"]
