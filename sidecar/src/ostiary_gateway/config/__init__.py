"""From files to a running snapshot: sources bring bytes, one loader judges them, the store swaps.

source_directory    a projected volume, watched by its ``..data`` link
source_kubernetes   the one named ConfigMap and Secret, watched through the API
kubernetes_api      as much of a Kubernetes client as that needs
keyring             keys from the Secret: MAC, session sealing, admin bearer
runtime             one proxy, compiled: what requests run on
snapshot            all proxies of one revision, and how a path finds its proxy
store               swap, never mutate; the last good stays; never back to an older revision
"""
