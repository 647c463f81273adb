"""Ostiary without a cluster: what ``ostiary validate`` and ``ostiary run`` are made of.

files       paths on the command line to YAML files
positions   where each field of a YAML text stands
manifests   texts to Kubernetes objects, everyone with its place, and what is wrong with a text
judging     what the models say of one object
together    what the compiler says of all objects, with the gateway that is implied
findings    one fault, as a line for people and as an object for programs

mock_server, watching, changes, console, welcome, calls, gateway, session    the parts of ``ostiary run``
"""
