"""Several servers as one catalogue: what each offers, under the names of the catalogue.

Pure code: what goes in are messages of servers, what comes out are messages for callers. It knows no policy and does
no I/O (linted): :mod:`ostiary_gateway.pipeline.merged` asks the servers, and judges what comes out.
"""
