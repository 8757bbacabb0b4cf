"""Views of the embedded world: what each scenario sees of it."""
