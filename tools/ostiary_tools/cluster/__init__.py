"""A Kubernetes control plane without containers, and the platform of `make cluster`."""
