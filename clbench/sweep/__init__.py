"""Many cells at once: on this machine, on a SLURM cluster, on Ray."""
