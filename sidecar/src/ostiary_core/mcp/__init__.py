"""The Model Context Protocol as a gateway sees it.

This package has its revisions, methods, error codes and list results.
"""
