"""The control plane: resource models, the pure compiler, and the only code that speaks to Kubernetes."""
