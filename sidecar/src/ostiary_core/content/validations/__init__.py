"""Validation of arguments and results against the schemas of tools.

Which policies demand what, and results that are made valid again.
"""
