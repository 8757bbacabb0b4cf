"""Low-rank updates of linear maps: layers, injection, merging, spectra.

Strategies are short because this is here: they say which roles to adapt and at which
rank, and get back the layers whose factors they regularise, grow or merge.
"""

from collections.abc import Mapping
from types import MappingProxyType

from clbench.contract import Between, Space
from clbench.lowrank.attention import LowRankAttention
from clbench.lowrank.combine import Pair, combine, compress
from clbench.lowrank.growing import Components, Growing, GrowingAttention, GrowingLinear
from clbench.lowrank.inject import disabled, freeze, inject
from clbench.lowrank.layer import Adapter, LowRank
from clbench.lowrank.product import product
from clbench.lowrank.several import Several, SeveralAttention, Turn
from clbench.lowrank.spectrum import effective_rank, norm, singular_values
from clbench.lowrank.together import Together, separable

RATES: Mapping[str, Space] = MappingProxyType({"lr": Between(1e-4, 1e-1, log=True)})
"""Learning rates that are worth a try where the weights themselves stay as they are."""

__all__ = [
    "RATES",
    "Adapter",
    "Components",
    "Growing",
    "GrowingAttention",
    "GrowingLinear",
    "LowRank",
    "LowRankAttention",
    "Pair",
    "Several",
    "SeveralAttention",
    "Together",
    "Turn",
    "combine",
    "compress",
    "disabled",
    "effective_rank",
    "freeze",
    "inject",
    "norm",
    "product",
    "separable",
    "singular_values",
]
