"""A connection on ``aiohttp.web.Server``, through aiohttp's public API.

    connection           aiohttp's protocol within ours, which keeps the bounds that aiohttp has no place for
    passed_input         the input of a connection, as it is passed to aiohttp
    head_input           what was passed to aiohttp of requests that have not begun
    body_end             where a body ends in what was passed to aiohttp
    aiohttp_protocol     what aiohttp sees of the connection, and how it is set up
    request              a request whose body aiohttp reads

aiohttp parses, decides what may follow on a connection, and runs the handler. Responses are written by
:mod:`ostiary_gateway.server.response`, like those of the other implementation.
"""
