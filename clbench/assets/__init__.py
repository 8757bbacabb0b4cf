"""One door through which data sets and weights come in."""
