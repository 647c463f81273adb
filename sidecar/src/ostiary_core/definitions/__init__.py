"""Definitions of tools, prompts and resources: digests, differences, approval.

A definition is an item of a list as its server sent it: name, description, schemas, annotations, ``_meta``, and members
that no specification knows.
"""
