"""A strategy and a scenario for clbench."""
