"""The script by which Redis takes, adds and gives back units of several counters at once.

Redis runs a script alone, so either all of its counters change or none. It counts by the store's clock. Each counter is
one hash, which expires when it says nothing any more:

    u        units used: the level of a rate, or the count of a quota
    t        when the level was that, or the start of the quota's window; microseconds since the epoch
    f:<id>   requests in flight of one replica: ``count:until:sequence``

The arithmetic is that of :mod:`ostiary_core.limits.rate` and :mod:`ostiary_core.limits.quota`; a differential test
compares them.
"""

from importlib.resources import files
from typing import Final

#: The arguments for each counter, in this order.
FIELDS: Final = (
    "kind",  # r: rate, q: quota of a length, p: quota by periods of the calendar, n: neither
    "units",  # to take, to add (settle), or to give back (settle, negative)
    "waiting",  # units for further calls that wait, as far as they are free
    "lease",  # units to take in advance, as far as a sixteenth of what is free then has room for them
    "amount",
    "burst",
    "length",  # of the window, in microseconds
    "age",  # microseconds for which units that were taken in advance may be used, for rates
    "start0",  # starts of consecutive periods, in microseconds
    "start1",
    "start2",
    "start3",
    "concurrency",  # the most requests in flight, -1 without such a limit
    "count",  # requests of this replica in flight; -1 leaves that as it is
    "sequence",  # grows with each message: an older count does not replace a newer one
    "shadow",  # 1: a counter that refuses nothing
    "taken",  # settle: when units that are given back were taken, in microseconds; 0 for added ones
)
#: What is returned for each counter, after the time.
RESULTS: Final = ("fits", "has_slot", "granted", "remaining", "used", "retry", "reset")
#: The part of what is free that one replica takes in advance.
SHARE: Final = 16
#: Microseconds after which requests in flight count no more, unless the replica renews them.
SLOT_AGE: Final = 15_000_000

SCRIPT: Final = (
    f"local FIELDS, SHARE, SLOT_AGE = {len(FIELDS)}, {SHARE}, {SLOT_AGE}\n"
    + files(__package__).joinpath("counters.lua").read_text()
)
