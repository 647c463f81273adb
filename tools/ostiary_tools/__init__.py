"""Developer tools: a Kubernetes control plane without containers, conformance runs, generators, tool chains."""
