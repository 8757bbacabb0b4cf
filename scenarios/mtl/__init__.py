"""PASCAL multi-task learning: one backbone, several dense tasks."""

from .scenario import DenseMultiTask

__all__ = ["DenseMultiTask"]
