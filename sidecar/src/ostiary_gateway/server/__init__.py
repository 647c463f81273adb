"""The data port's HTTP/1.1 server, on llhttp: what comes in is bounded before it is understood.

listener    takes connections, sweeps the slow ones, ends them all
channel     one connection's bytes: written, taken, read or not
connection  one connection: requests in their order, one handled at a time
parser      bytes to requests
request     a request and its body as it arrives
response    an answer: whole, or as a stream
handshake   TLS, begun within its time and bounds
certificate what is shown in it, renewed without a restart

Why it is ours: docs/decisions/0006.
"""
