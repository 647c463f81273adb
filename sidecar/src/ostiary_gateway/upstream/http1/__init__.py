"""A lean HTTP/1.1 client for one upstream server: an exchange on it costs a seventh of one on aiohttp's client.

    request     the bytes of a request's head
    answer      the answer as it arrives: head, then a body with backpressure
    connection  one connection: one exchange at a time, and no byte that was not asked for
    status_line what the first line of an answer must be
    deadlines   one timer for all who wait
    tunnel      through an egress proxy
    dialing     from a URL to a connection, through the judgement of addresses
    pool        connections kept for the next exchange

llhttp (through httptools) parses strictly. Nothing is followed, unpacked, cached or remembered.
"""
