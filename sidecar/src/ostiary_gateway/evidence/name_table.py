"""The most used names of one proxy, in a bounded amount of memory.

Each name has four rows of counts: this and the last quarter of an hour, this and the last half day. Names come from
lists of servers and from rules (:mod:`ostiary_gateway.pipeline.request_labels`), so callers cannot fill the table.

Where a proxy has more names than are kept, the uses of the rest are counted together, and every 16th of them takes the
place of the least used name. So what is used much is named after a short while, and the sum of all rows stays exact.
"""

from array import array
from typing import Any, Final

from ostiary_core.evidence.name_use import MOST_NAMES
from ostiary_core.evidence.recorded_call import CallOutcome
from ostiary_gateway.evidence.call_ring import PlainCall
from ostiary_gateway.evidence.live_window import DENIALS

_RETRY: Final = 16
#: Rows of one name.
_THIS_QUARTER, _LAST_QUARTER, _THIS_HALF, _LAST_HALF = range(4)
_ROWS: Final = 4
#: Uses before this quarter in this half day are in _THIS_HALF only once the quarter is over.
_RECENT: Final = (_THIS_QUARTER, _LAST_QUARTER)
_DAY: Final = (_THIS_QUARTER, _THIS_HALF, _LAST_HALF)


#: Calls, errors, denials, the sum of the durations and the longest one, of one name.
NamedCounts = list[float]


class NameTable:
    """Counts the uses of names of one proxy.

    The first place stands for all names that are not kept.
    """

    __slots__ = ("_misses", "calls", "denied", "errors", "places", "seconds", "slowest")

    def __init__(self) -> None:
        #: Places by method and name.
        self.places: dict[str, dict[str, int]] = {}
        self.calls = array("I", bytes(4 * _ROWS))
        self.errors = array("I", bytes(4 * _ROWS))
        self.denied = array("I", bytes(4 * _ROWS))
        self.seconds = array("d", bytes(8 * _ROWS))
        self.slowest = array("f", bytes(4 * _ROWS))
        self._misses = 0

    def add(self, method: str, name: str, call: PlainCall) -> None:
        """Count one use."""
        try:
            row = self.places[method][name]
        except KeyError:
            row = self._place(method, name)
        seconds, outcome = call[1], call[6]
        self.calls[row] += 1
        self.seconds[row] += seconds
        self.slowest[row] = max(self.slowest[row], seconds)
        if outcome is CallOutcome.OK:
            return
        if call[3][5]:
            self.errors[row] += 1
        if outcome in DENIALS:
            self.denied[row] += 1

    def _place(self, method: str, name: str) -> int:
        """Return the first row of a name that has none.

        It is a new one, that of the least used name, or that of all others.
        """
        row = len(self.calls)
        if row > _ROWS * MOST_NAMES:
            self._misses += 1
            if self._misses % _RETRY:
                return 0
            row = self._evict()
        else:
            for column in self._columns:
                column.extend([0] * _ROWS)
        self.places.setdefault(method, {})[name] = row
        return row

    def _evict(self) -> int:
        """Count the uses of the least used name among the others, and return its first row."""
        used = ((sum(self.calls[row + each] for each in _DAY), row, method, name) for method, name, row in self._all())
        _, row, method, name = min(used)
        del self.places[method][name]
        for each in range(_ROWS):
            self._move(row + each, each)
        return row

    def _all(self) -> list[tuple[str, str, int]]:
        return [(method, name, row) for method, found in self.places.items() for name, row in found.items()]

    def _move(self, source: int, target: int) -> None:
        """Add one row to another, and clear it."""
        for column in self._columns[:4]:
            column[target] += column[source]
            column[source] = 0
        self.slowest[target] = max(self.slowest[target], self.slowest[source])
        self.slowest[source] = 0

    def _drop(self, row: int) -> None:
        for column in self._columns:
            column[row] = 0

    def end_quarter(self, *, passed: int) -> None:
        """Begin a new quarter of an hour, where ``passed`` of them have begun since the last."""
        for row in range(0, len(self.calls), _ROWS):
            self._drop(row + _LAST_QUARTER)
            self._copy(row + _THIS_QUARTER, row + _LAST_QUARTER)
            self._move(row + _THIS_QUARTER, row + _THIS_HALF)
            if passed > 1:
                self._drop(row + _LAST_QUARTER)

    def _copy(self, source: int, target: int) -> None:
        for column in self._columns:
            column[target] = column[source]

    def end_half(self, *, passed: int) -> None:
        """Begin a new half day, where ``passed`` have begun since; the quarter has ended before."""
        for row in range(0, len(self.calls), _ROWS):
            self._drop(row + _LAST_HALF)
            self._move(row + _THIS_HALF, row + _LAST_HALF)
            if passed > 1:
                self._drop(row + _LAST_HALF)
        self._forget_unused()

    def _forget_unused(self) -> None:
        """Make room: names without uses leave, and the others move up."""
        kept = [(method, name, row) for method, name, row in self._all() if any(self.calls[row : row + _ROWS])]
        fresh = NameTable()
        for column, old in zip(fresh._columns, self._columns, strict=True):
            column[:] = old[:_ROWS]
            for _, _, row in kept:
                column.extend(old[row : row + _ROWS])
        for place, (method, name, _) in enumerate(kept, 1):
            fresh.places.setdefault(method, {})[name] = place * _ROWS
        self.places, self.calls, self.errors, self.denied = fresh.places, fresh.calls, fresh.errors, fresh.denied
        self.seconds, self.slowest = fresh.seconds, fresh.slowest

    def copy(self) -> "NameTable":
        """Return one that another thread may read."""
        copied = NameTable()
        copied.places = {method: dict(places) for method, places in self.places.items()}
        copied.calls, copied.errors, copied.denied = self.calls[:], self.errors[:], self.denied[:]
        copied.seconds, copied.slowest = self.seconds[:], self.slowest[:]
        return copied

    @property
    def _columns(self) -> tuple["array[Any]", ...]:
        return self.calls, self.errors, self.denied, self.seconds, self.slowest

    def add_to(self, uses: dict[tuple[str, str], NamedCounts], *, is_recent: bool) -> None:
        """Add the uses of two quarters of an hour, or of two half days, to those by name.

        Those of the names that are not kept are added under two empty texts.
        """
        rows = _RECENT if is_recent else _DAY
        for method, name, row in [("", "", 0), *self._all()]:
            calls = sum(self.calls[row + each] for each in rows)
            if calls:
                counts = uses.setdefault((method, name), [0, 0, 0, 0.0, 0.0])
                counts[0] += calls
                counts[1] += sum(self.errors[row + each] for each in rows)
                counts[2] += sum(self.denied[row + each] for each in rows)
                counts[3] += sum(self.seconds[row + each] for each in rows)
                counts[4] = max(counts[4], *(self.slowest[row + each] for each in rows))


def names_document(uses: dict[tuple[str, str], NamedCounts], *, since: int) -> dict[str, Any]:
    """Return the most used names as ``NameUses`` since a time in epoch milliseconds."""
    others = uses.pop(("", ""), [0, 0, 0, 0.0, 0.0])
    ranked = sorted(uses.items(), key=lambda item: (-item[1][0], item[0]))
    for _, counts in ranked[MOST_NAMES:]:
        others = [*(one + other for one, other in zip(others[:4], counts[:4], strict=True)), max(others[4], counts[4])]
    return {"since": since, "names": [_use(*item) for item in ranked[:MOST_NAMES]], "others": _use(("", ""), others)}


def _use(name: tuple[str, str], counts: NamedCounts) -> dict[str, Any]:
    calls, errors, denied, seconds, slowest = counts
    return {
        "method": name[0],
        "name": name[1],
        "calls": int(calls),
        "errors": int(errors),
        "denied": int(denied),
        "seconds": round(seconds, 6),
        "slowest": round(slowest, 6),
    }
