"""Delivers a compiled config to its gateway: as ConfigMaps and a Secret, or as a directory.

The files are the same either way.

secret      creates, rotates and deletes the keys of a gateway
reader      reads back the config in force, and checks its MAC
plan        our ConfigMaps and Secret as objects: what to write, in which order, with which revision (pure)
writer      writes them to the cluster
volume      a directory that changes atomically, like a projected volume of the kubelet
directory   writes a config and keys to such directories, for `ostiary run`
"""
