"""Developer tools: local clusters, conformance runs, generators, tool chains."""
