"""PEGO: a group of low-rank adapters, orthogonal to pre-trained weights and mutually.

Jiajun Hu, Jian Zhang, Lei Qi, Yinghuan Shi and Yang Gao, "Learn to Preserve and
Diversify: Parameter-Efficient Group with Orthogonal Regularization for Domain
Generalization", ECCV 2024.
"""

from .strategy import Pego

__all__ = ["Pego"]
