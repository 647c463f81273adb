"""Developer tools: a real Kubernetes control plane without containers, and the tool chains that build it."""
