"""Transformations: what a policy sets and removes in arguments, headers and results."""
