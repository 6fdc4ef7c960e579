"""Renderer of the virtual device: a resolved router, BNG, OLT or AP in its configuration language."""
