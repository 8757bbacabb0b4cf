"""A strategy without parameters."""

from clbench.contract import Strategy


class Plain(Strategy):
    """Plain fine-tuning."""
