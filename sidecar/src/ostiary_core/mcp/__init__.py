"""The Model Context Protocol as a gateway sees it: revisions, methods, error codes, list results."""
