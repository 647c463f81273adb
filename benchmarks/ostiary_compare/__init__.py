"""Measures this gateway and others by the same calls, policies and load: `make compare`."""
