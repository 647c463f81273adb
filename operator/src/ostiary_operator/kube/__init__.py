"""Access to Kubernetes: the only package that imports kopf and kubernetes.

client          the verbs that the operator uses: ``rest`` implements them, with ``credentials``, ``errors``
                and ``list_decoding``; ``client_wrappers`` wrap one; ``fake`` is an in-memory cluster, with ``fields``
kinds, options  the kinds of objects that are read or written; the options of the operator
lister          reads a consistent snapshot for each pass (``cluster_snapshot``) of the ``changed_namespaces``
reference_reader, api_servers    read what proxies refer to; the addresses that no server may have. ``server_reader``
                reads the servers of other operators, ``foreign_watches`` watches their kinds while they are served
informer        kopf as an informer: its event handlers enqueue passes, nothing else. ``watch_scopes`` and ``watches``
                choose what is watched where, ``event_filter`` which events matter
leases          reads and writes Leases
kubeconfig      reads a cluster with the rights of a user
object_names    names for the completion in a shell, which cannot wait for the official client: ``kubeconfig_files``
"""
