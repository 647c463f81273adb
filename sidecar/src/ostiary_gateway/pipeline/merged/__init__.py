"""Requests to a proxy that merges several servers into one catalogue."""
