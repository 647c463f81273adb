"""What waits in one replica for an answer of a caller, which may arrive at another.

A call whose server asks for input is *parked*: its stream stays open here, and its caller repeats the call with the
answer. A bridged server's question to a session waits here for the session's response. Any replica may get the answer:
:mod:`.replica_hops` takes it to the one that waits.
"""
