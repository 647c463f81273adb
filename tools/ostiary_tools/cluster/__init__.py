"""A Kubernetes control plane without containers, and the platform that `make cluster` starts on it."""
