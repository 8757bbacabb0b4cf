"""Newcomer: one line that `clbench list` shows."""

from .scenario import Newcomer

__all__ = ["Newcomer"]
