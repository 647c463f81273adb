"""In-flight limits: what one client, principal or proxy may use of a process at a time.

limiter           admits requests, counts them, and gives back what they reserved
reservation       what one request takes of the limits
counters          counts by client, principal and proxy
checks            reservations that grow (streams, bodies, responses), and how a request is refused
client_address    the source that a request is counted for
"""
