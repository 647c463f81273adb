"""The Model Context Protocol as a gateway sees it.

Revisions, methods, error codes, list results.
"""
