"""Definitions of servers against the locks of their proxy.

pinned_lists          compares lists as servers send them, and leaves out what no lock approves
definition_check      before a call: is its name approved, and was its definition seen as approved lately?
pinned_instructions   the instructions of a server, which must be approved as well
"""
