"""Low-rank updates of linear maps: layers, injection, merging, spectra.

Strategies are short because this is here: they say which roles to adapt and at which
rank, and get back the layers whose factors they regularise, grow or merge.
"""

from clbench.lowrank.attention import LowRankAttention
from clbench.lowrank.growing import Components, Growing, GrowingAttention, GrowingLinear
from clbench.lowrank.inject import disabled, freeze, inject
from clbench.lowrank.layer import Adapter, LowRank
from clbench.lowrank.product import product
from clbench.lowrank.spectrum import effective_rank, norm, singular_values

__all__ = [
    "Adapter",
    "Components",
    "Growing",
    "GrowingAttention",
    "GrowingLinear",
    "LowRank",
    "LowRankAttention",
    "disabled",
    "effective_rank",
    "freeze",
    "inject",
    "norm",
    "product",
    "singular_values",
]
