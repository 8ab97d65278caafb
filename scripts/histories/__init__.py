"""Histories: the whole service through lives that a seed draws, with all that may befall it."""
