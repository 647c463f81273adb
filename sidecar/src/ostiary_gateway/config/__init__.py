"""From files to a running snapshot: sources bring bytes, one loader judges them, the store swaps.

source_directory    a volume of ConfigMaps and one of the Secret, watched by their ``..data`` links
source_kubernetes   the one named ConfigMap and Secret, watched through the API
kubernetes_api      as much of a Kubernetes client as that needs
keyring             keys from the Secret: MAC, session sealing, admin bearer
runtime             one proxy, compiled: what requests run on
snapshot            all proxies of one revision, and how a path finds its proxy
second_look         judges again what was refused for the clock
rejections          why something is not in force
store               swap, never mutate; the last good stays; never back to an older revision
"""
