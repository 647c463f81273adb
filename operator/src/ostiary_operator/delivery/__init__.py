"""Delivers a compiled config to its gateway: as ConfigMaps and a Secret, or as a directory.

The files are the same either way.

secret      creates, rotates and deletes the keys of a gateway
reader      reads back the config in force, and checks its MAC
plan        decides what to write, in which order, with which revision and MAC (pure)
objects     our ConfigMaps and Secrets as objects to apply
writer      writes them to the cluster
volume      a directory that changes atomically, like a projected volume of the kubelet
directory   writes a config and keys to such directories, for `ostiary run`
"""
