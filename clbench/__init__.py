"""clbench: continual, multi-task, domain-generalization and preference learning.

A scenario states a learning problem that arrives in parts and judges it; a strategy
says how to learn it; one strategy on one scenario is a cell; a cell leaves a record;
boards are computed from records and from nothing else.
"""

from pathlib import Path

__version__ = "0.1.0"

# A wheel holds strategies/ and scenarios/ inside this package. In a checkout they lie
# beside it, so that the same names (clbench.strategies...) must be found there.
_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "pyproject.toml").is_file() and (_checkout / "strategies").is_dir():
    __path__.append(str(_checkout))
