"""Models of the embedded world: small versions of architectures that people use."""
