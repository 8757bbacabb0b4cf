"""Understanding text: tasks in GLUE's format, one after another or all at once."""

from .scenario import TextTasks

__all__ = ["TextTasks"]
