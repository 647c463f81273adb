"""The control plane: resource models, the pure compiler, and all access to Kubernetes."""
