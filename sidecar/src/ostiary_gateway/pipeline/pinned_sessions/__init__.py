"""Sessions of a client with one server that has several endpoints.

Each is pinned to the endpoint that opened it. Where that is gone, the session goes on at another one.
"""
