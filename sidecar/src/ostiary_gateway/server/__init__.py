"""The data port's HTTP/1.1 server, on llhttp. Input is bounded before it is interpreted.

    listener             accepts connections, closes those beyond their deadline, drains and stops
    transport            one connection's bytes: writing, flow control, reading or not
    pipelining           one connection's input: parsed into requests, early ones queued
    connection           one connection: its requests in order, one handled at a time
    teardown             one connection's deadlines, and its orderly end
    parser               bytes to requests
    request              a request, and its body as it arrives
    response             a response: whole, or as a stream
    tls                  the TLS handshake, within its deadline and limits
    certificate          the certificate of the handshake, renewed without a restart
    host                 protocols between these parts
    host_name            the name in a Host header
    connection_limits    limits of one connection

Why it is our own: docs/decisions/0006.
"""
