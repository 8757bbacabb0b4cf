"""A strategy that has no meaning anywhere."""

from clbench.contract import Problem, Strategy


class Never(Strategy):
    """Says so."""

    def unsupported(self, problem: Problem) -> str | None:
        return "it has no meaning anywhere"
