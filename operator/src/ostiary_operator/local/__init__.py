"""Ostiary without a cluster: ``ostiary validate``, ``ostiary compile`` and ``ostiary run``.

files       YAML files that the paths of a command line name
positions   line and column of each field of a YAML text
manifests   texts to Kubernetes objects with positions, and findings for what is no object
judging     validation of one object by its model
together    validation of all objects by the compiler, with an implied gateway
findings    one error or warning, as a line for people and as an object for programs

mock_server, watching, changes, console, welcome, calls, gateway, session    the parts of ``ostiary run``
"""
