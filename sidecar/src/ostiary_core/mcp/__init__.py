"""The Model Context Protocol from the view of a gateway.

This package has its revisions, methods, error codes and list results.
"""
