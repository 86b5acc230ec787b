"""Tuning: a search for a pipeline's parameters on training faces, which goes on where it was stopped."""
