"""Scenarios that come with clbench: one plugin is one folder."""
