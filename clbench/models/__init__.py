"""Backbones behind one door, and where their adaptable layers are."""
