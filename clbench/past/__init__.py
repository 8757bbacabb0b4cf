"""What strategies keep of the past: examples, weights, a teacher.

Regularisation, rehearsal and distillation are short files because this is here.
"""

from clbench.past.examples import Memory, Select, shown
from clbench.past.weights import Anchor, Teacher, frozen_copy

__all__ = ["Anchor", "Memory", "Select", "Teacher", "frozen_copy", "shown"]
