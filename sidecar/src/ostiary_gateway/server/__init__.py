"""The data port's HTTP/1.1 server. Input is bounded before it is interpreted.

listener             accepts connections, closes those beyond their deadline, drains and stops
http_servers         the implementations of a connection: all else is shared by them
connection           what every connection has: how it begins and ends, how a request is answered
teardown             one connection's phases and deadlines, and its orderly end
transport            one connection's bytes: writing, flow control, reading or not
tls                  the TLS handshake, within its deadline and limits
certificate          the certificate of the handshake, renewed without a restart
request              a request, and its body as it arrives
request_connection   what a request, its response and its handler need of the connection
response             a response: whole, or as a stream
bad_request          input that is not a request, and what is answered to it
host                 protocols between listener and connection
host_name            the name in a Host header
connection_limits    limits of one connection
"""
