"""Which of its servers a proxy with routing rules sends a request to."""
