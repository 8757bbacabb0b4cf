"""Domain generalization: learn on some domains, be judged on one left out."""

from .scenario import DomainGeneralization

__all__ = ["DomainGeneralization"]
