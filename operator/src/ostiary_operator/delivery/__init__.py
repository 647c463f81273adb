"""How a compiled config reaches its gateway: ConfigMaps and a Secret, or a directory; the same bytes either way.

secret      the keys of a gateway: made, rotated, forgotten
reader      what lies at the gateway now, and whether it is ours
stamping    revision and MAC
plan        what to write, in which order (pure)
writer      writes it to the cluster
volume      a directory that changes in one step, as the kubelet's volumes do
directory   writes it to such directories, for `ostiary run`
"""
