"""The interface of counters.

The limit stage takes units before a request is sent upstream, and refuses it where a limit is exhausted. Counters are
kept in this process (:mod:`.local_counters`) or shared by all replicas (:mod:`.shared_counters`).
"""

from collections.abc import Awaitable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from ostiary_core.limits.charge import Charge
from ostiary_core.limits.compiled_limit import CompiledLimit


class Unit(StrEnum):
    """What a limit counts, as callers read it."""

    REQUESTS = "requests"
    COST = "cost"
    CONCURRENCY = "concurrency"
    REQUEST_BYTES = "requestBytes"
    RESPONSE_BYTES = "responseBytes"


class Exhaustion(NamedTuple):
    """A limit that has too little left for a charge.

    ``limit`` is the amount of the limit and ``remaining`` what is left of it, both in ``unit``. ``reset_at`` is when
    the limit is whole again and ``retry_at`` when this charge fits again, both in epoch seconds; None where no time is
    known, as for requests in flight. ``store_failed`` where nothing is exhausted: the shared store cannot be reached,
    and the limit denies then.
    """

    charge: Charge
    unit: Unit
    limit: int
    remaining: int
    retry_at: float | None
    reset_at: float | None
    store_failed: bool = False


class KeyUsage(NamedTuple):
    """What one key has used of a limit, for the admin port.

    ``used`` and ``remaining`` are in requests or cost; ``remaining`` and ``reset_at`` (epoch seconds) are None for a
    limit of concurrency alone. ``in_flight`` are its requests in flight now.
    """

    limit: CompiledLimit
    key: str
    used: int
    remaining: int | None
    reset_at: float | None
    in_flight: int


#: What a charge was refused for; empty where all was taken.
Taken = tuple[Exhaustion, ...]


class CounterStore(Protocol):
    """Counters of all limits of one gateway.

    Charges of kind ``none`` without concurrency are ignored by every method. Times are epoch seconds. A method that
    needs no I/O returns its result itself and not an awaitable: a call with local counters never waits.
    """

    @property
    def is_shared(self) -> bool:
        """Whether other replicas count in the same place now: then :meth:`usage` is of all."""

    def take(self, charges: Sequence[Charge], now: float) -> Taken | Awaitable[Taken]:
        """Take the units and the concurrency slots of all charges, or of none.

        Return what is exhausted. Where a limit among it is enforced (not ``limit.shadow``), nothing was taken. Where
        all of it is in Shadow mode, everything else was taken. A wait that is cancelled takes
        nothing, or gives it back.
        """

    def peek(self, charges: Sequence[Charge], now: float) -> Taken:
        """Return what :meth:`take` would find exhausted of units, and take nothing.

        It knows what this replica knows.
        """

    def add(self, charges: Sequence[Charge], now: float) -> None:
        """Add units that became known with the response, even beyond the amount. It never waits."""

    def give_back(self, charges: Sequence[Charge], taken_at: float, now: float) -> None:
        """Give back the units of charges whose request never reached the upstream.

        They were taken at ``taken_at``.

        It never waits. Units of a window that has ended since are gone.

        Slots of concurrency are given back by :meth:`release` in any case.
        """

    def release(self, charges: Sequence[Charge]) -> None:
        """Give back the slots of concurrency of charges whose request is over.

        It never waits.
        """

    def usage(
        self, now: float, *, limits: Mapping[str, CompiledLimit], after: str, most: int
    ) -> Sequence[KeyUsage] | Awaitable[Sequence[KeyUsage]]:
        """Return at most ``most`` keys that count something, after the key ``after``.

        They are in the order of their text.

        ``limits`` are those in force by the beginnings of their keys, ``<uid of the policy>/<name of the limit>``.
        """
