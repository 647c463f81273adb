"""The API `ostiary.dev/v1alpha1`: its models, the CRDs generated from them, and the gateway settings document.

The order of reading: `proxy`, `policy` and `settings` are what users write; `status` is what we answer; `load` turns
a Kubernetes object into a `Resource` or a list of problems; `crd` and `reference` generate what is checked in.
"""
