"""Our own implementation of a connection, on llhttp.

    pipelining           one connection's input: parsed into requests, early ones queued
    connection           its requests in order, one handled at a time
    parser               bytes to requests
    request              a request whose body the parser feeds

Why it is our own, and the default: docs/decisions/0024.
"""
