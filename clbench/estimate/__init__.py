"""What cells will cost, before they are run.

Cells that differ in nothing that costs anything are one `bundles.Bundle`. Of each, one
cell is built and timed for a few steps (`trial`) in a process of its own (`worker`);
`timed` holds what that found, and `plan` what all cells will then take.
"""
