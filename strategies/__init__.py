"""Strategies that come with clbench: one plugin is one file or one folder."""
