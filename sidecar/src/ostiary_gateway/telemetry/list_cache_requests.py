"""How often a list of a server was needed for a caller, by where it came from."""

from collections import Counter
from typing import Final

#: From the cache; asked for; or from the cache although it was old, because its server failed.
HIT: Final = ("hit",)
FETCHED: Final = ("fetched",)
STALE: Final = ("stale",)

#: The counts of this process, by outcome.
LIST_CACHE_REQUESTS: Final[Counter[tuple[str, ...]]] = Counter({HIT: 0, FETCHED: 0, STALE: 0})
