"""Compiled schemas of servers, kept by their text.

Compiling holds the interpreter's lock, so what is not small is priced in a thread, and a server whose schemas change
all the time is cut off: its schemas may take a fiftieth of the gateway's time, and are not checked beyond that.
"""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Final
from weakref import WeakKeyDictionary

import orjson

from ostiary_core.json_schema.faults import UncheckableSchemaError
from ostiary_core.json_schema.price import MOST_COST
from ostiary_core.json_schema.schema_check import SchemaCheck
from ostiary_gateway.threads import in_search_thread
from ostiary_gateway.upstream.server import UpstreamServer

#: A schema of at most this many bytes is compiled at once: that takes less than a millisecond.
_LIGHT_BYTES: Final = 4 * 1024
#: What compiled schemas take, in bytes: a rough estimate for one, and the most for all.
_BYTES_EACH: Final = 32 * 1024
_TIMES_TEXT: Final = 50
_BYTES_IN_ALL: Final = 64 << 20
#: What compiling may cost a server, in units of prices: at once, and for each second after that.
_BURST: Final = 20 * MOST_COST
_PER_SECOND: Final = MOST_COST
#: What compiling costs besides the price: for each schema, and for bytes of it.
_UNITS_EACH: Final = 100
_BYTES_PER_UNIT: Final = 4


class SchemaChecks:
    """The compiled schemas of one gateway process. Must be used within one event loop."""

    def __init__(self, *, limit: int = _BYTES_IN_ALL, clock: Callable[[], float] = monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._held = 0
        #: By the text, None for a schema that cannot be used.
        self._checks: OrderedDict[bytes, tuple[SchemaCheck | None, int]] = OrderedDict()
        self._spent: WeakKeyDictionary[UpstreamServer, tuple[float, float]] = WeakKeyDictionary()

    def __len__(self) -> int:
        """The number of schemas that are kept."""
        return len(self._checks)

    async def check_of(self, server: UpstreamServer, text: bytes | None) -> SchemaCheck | None:
        """Return the check of a schema of a server; None where it cannot be used, or not now."""
        if not text:
            return None
        if text in self._checks:
            return self.known(text)
        if not self._may_spend(server):
            return None
        check = _compiled(text) if len(text) <= _LIGHT_BYTES else await in_search_thread(lambda: _compiled(text))
        self._spend(server, _UNITS_EACH + len(text) // _BYTES_PER_UNIT + _cost(check))
        self._keep(text, check, size=_BYTES_EACH + _TIMES_TEXT * len(text))
        return check

    def known(self, text: bytes) -> SchemaCheck | None:
        """Return the check of a schema that was compiled already; None without one."""
        found = self._checks.get(text)
        if found is None:
            return None
        self._checks.move_to_end(text)
        return found[0]

    def _keep(self, text: bytes, check: SchemaCheck | None, *, size: int) -> None:
        former = self._checks.pop(text, None)
        self._held += size - (former[1] if former is not None else 0)
        self._checks[text] = check, size
        while self._held > self._limit:
            self._held -= self._checks.popitem(last=False)[1][1]

    def _may_spend(self, server: UpstreamServer) -> bool:
        return self._left(server) > 0

    def _left(self, server: UpstreamServer) -> float:
        left, at = self._spent.get(server, (float(_BURST), 0.0))
        return min(float(_BURST), left + (self._clock() - at) * _PER_SECOND)

    def _spend(self, server: UpstreamServer, units: int) -> None:
        self._spent[server] = self._left(server) - units, self._clock()


def _compiled(text: bytes) -> SchemaCheck | None:
    try:
        return SchemaCheck(orjson.loads(text))
    except UncheckableSchemaError:
        return None


def _cost(check: SchemaCheck | None) -> int:
    return check.compiled.price.cost if check is not None else MOST_COST


#: The compiled schemas of this process.
SCHEMA_CHECKS: Final = SchemaChecks()
