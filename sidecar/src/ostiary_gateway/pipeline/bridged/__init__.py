"""Requests whose caller and server speak different eras of the protocol.

What is written and read is decided in :mod:`ostiary_gateway.bridge`; here it is sent and received.
"""
