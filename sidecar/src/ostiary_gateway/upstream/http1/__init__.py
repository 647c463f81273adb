"""A lean HTTP/1.1 client for one upstream server.

An exchange costs a seventh of one with aiohttp's client.

    request_head            the bytes of a request's head
    upstream_response       the response as it arrives: head, then a body with backpressure
    upstream_connection     one connection: one exchange at a time, and no byte that was not requested
    upstream_transport      its bytes: what is written, whether we read, and whether it is open
    head_template           the bytes of a head, with places for the values that change
    known_heads             the head that responses repeat, which is not parsed again
    silent_socket           what the system knows of a connection on which nothing arrives
    status_line             the check of a response's first line
    deadlines               one timer for all requests that wait for a response
    tunnel                  connections through an egress proxy
    dialer                  from a URL to a connection, by way of the address check
    pool                    idle connections, kept for the next exchange

llhttp (through httptools) parses strictly. Redirects, compression, cookies and caching are not implemented.
"""
