"""The operator's hands in Kubernetes: the only package that imports kopf and kubernetes.

client      the few verbs that the operator uses, as a protocol; rest speaks them, fake keeps a cluster in memory
lookout     one consistent look after another at all that a pass needs, and listing: what such a look sees
informer    kopf as an informer: events become pokes, nothing else
"""
