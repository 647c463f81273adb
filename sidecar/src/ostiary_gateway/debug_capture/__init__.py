"""Debug capture: the latest exchanges of a proxy, redacted, in this replica's memory.

``captured_exchange`` turns one request and its response into a record, ``ring`` keeps the latest records of one proxy,
``captures`` decides which proxies are captured and for how long, and ``reader`` serves them on the admin port. Nothing
is written to disk or sent anywhere. A proxy without ``debugCapture`` costs its requests one comparison with None.
"""
