"""The scripts that train the embedded world's models: `python -m clbench.pocket.train`.

Training is a function of the script's version and its settings alone (bit for bit on
one machine with one number of threads).
"""
