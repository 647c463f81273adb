"""Access to Kubernetes: the only package that imports kopf and kubernetes.

client      the verbs that the operator uses, as a protocol; ``rest`` implements it, ``fake`` is an in-memory cluster
lister      reads a consistent snapshot for each pass: ``cluster_snapshot``, with what it refers to
            (``reference_reader``)
informer    kopf as an informer: its event handlers enqueue passes, nothing else
"""
