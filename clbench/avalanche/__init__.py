"""Avalanche both ways: a strategy as a plugin of its own, a benchmark as a scenario.

Nothing else of clbench imports this package: it is for scripts and plugins.
"""

from clbench.avalanche.benchmark import BenchmarkScenario
from clbench.avalanche.examples import Examples, OverBatches
from clbench.avalanche.plugin import ScriptProblem, StrategyPlugin

__all__ = [
    "BenchmarkScenario",
    "Examples",
    "OverBatches",
    "ScriptProblem",
    "StrategyPlugin",
]
