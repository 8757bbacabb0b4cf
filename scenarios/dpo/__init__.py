"""Preference learning, domain after domain: DPO on a causal language model."""

from .scenario import CrossDomainPreferences

__all__ = ["CrossDomainPreferences"]
