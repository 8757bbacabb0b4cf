"""How sure a comparison is: intervals, paired tests, corrections, ranks.

Repeats of an experiment with different seeds are the unit of replication throughout:
everything here takes one number for each seed. See docs/statistics.md.
"""
