"""Builds or installs programs that tests need, once, into the user's cache."""
