"""From files to a running snapshot.

Sources read bytes, one loader validates them, the store swaps snapshots.

source_directory    a volume of ConfigMaps and one of the Secret, watched by their ``..data`` links
source_kubernetes   the one named ConfigMap and Secret, watched through the API
kubernetes_api      the small Kubernetes client that this needs
keyring             keys from the Secret: MAC, session sealing, admin bearer
runtime             one proxy, compiled: what its requests use
snapshot            all proxies of one revision; finds the proxy of a host and path
second_look         re-checks a config that was rejected because of the clock
rejections          why an entry or a config is not in force
store               swaps snapshots; keeps the last good version; never goes back to an older revision
"""
