"""The operator's hands in Kubernetes: the only package that imports kopf and kubernetes.

client      the few verbs that the operator uses, as a protocol; rest speaks them, fake keeps a cluster in memory
listing     one consistent look at everything that a pass needs
informer    kopf as an informer: events become pokes, nothing else
"""
