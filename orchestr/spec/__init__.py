"""Specs: what a feature file says, read once and completely. Importing this does nothing."""
