"""Images as arrays: read once, kept as memory maps, varied a batch at a time."""
