"""From files to a running snapshot.

Sources read bytes, one loader validates them, the store swaps snapshots.

    directory_source     a volume of ConfigMaps and one of the Secret, watched by their ``..data`` links
    kubernetes_source    the one named ConfigMap and Secret, watched through the API
    kubernetes_client    the small Kubernetes client that this needs
    watch_loop           repeats a watch, with back-off
    keyring              keys from the Secret: MAC, session sealing, admin bearer
    runtime              one proxy, compiled: what its requests use
    snapshot             all proxies of one revision; finds the proxy of a host and path
    snapshot_builder     builds a snapshot from a manifest, and reuses what did not change
    rejections           why an entry or a config is not in force
    cooperative_build    builds a snapshot without delaying requests
    observed_items       what servers offer, as far as lists have shown
    store                swaps snapshots; keeps the last good version; never goes back to an older revision
"""
