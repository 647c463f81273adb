"""Large messages take turns: one at a time is worked on, proxy by proxy, in slices between which others go on.

The event loop does one thing at a time, and a parser that has begun does not stop. What one message may cost is bounded
(``bounds.messageValues``), and still a hundred of them one after the other would be a second in which no other request
is looked at. So only one message is worked on at a time, the loop goes round a few times before the next, and that is
of another proxy if one waits. A message that is light for sure takes no turn, and pays for the look at its length only.
"""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Generator, Hashable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final, TypeAlias, TypeVar

from ostiary_core import json_weight
from ostiary_core.contract.documents import BoundsConfig
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults

Made = TypeVar("Made")
#: Work on a message in steps, between which others may have their turn, and what it comes to.
Steps: TypeAlias = Generator[None, None, Made]

#: A text of so many bytes is light, whatever it holds: it is parsed in about a millisecond.
LIGHT_BYTES: Final = 8 * 1024
#: Of a server, whose answers are asked for one by one, so many.
LIGHT_ANSWER_BYTES: Final = 32 * 1024
#: A longer one is light with at most so much weight, in which each so many bytes count as one more.
_LIGHT_WEIGHT: Final = 2048 * json_weight.UNIT
_BYTES_AS_ONE: Final = 64
#: After so many seconds of work others have their turn.
SLICE_SECONDS: Final = 0.003
#: The loop goes round so often before the next large message: an ordinary call, in and out, takes about as many rounds.
_ROUNDS: Final = 6
#: What is only read, and not judged, is read by a faster parser: it may weigh so many times as much.
UNJUDGED: Final = 3
#: So many items of a list are judged in one step.
ITEMS_AT_ONCE: Final = 32
_COUNTED_AT_ONCE: Final = 1 << 20
_WORDS: Final = "the answer holds more than %d values (bounds.messageValues)"


class FairQueue:
    """Whose turn it is. Must be used within one event loop."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, deque[asyncio.Future[None]]] = {}
        self._busy = False
        #: How many turns were taken.
        self.taken = 0

    @asynccontextmanager
    async def turn(self, key: Hashable) -> AsyncIterator[None]:
        """Wait for a turn among those of the same key, and for the key's among all; it ends with the block."""
        if self._busy:
            await self._wait(key)
        self._busy = True
        self.taken += 1
        try:
            yield
        finally:
            self._next_after(_ROUNDS)

    async def _wait(self, key: Hashable) -> None:
        waiter = asyncio.get_running_loop().create_future()
        queue = self._queues.setdefault(key, deque())
        queue.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._give()  # the turn was ours already, and goes to the next
            raise

    def _next_after(self, rounds: int) -> None:
        if rounds:
            asyncio.get_running_loop().call_soon(self._next_after, rounds - 1)
        else:
            self._give()

    def _give(self) -> None:
        """Give the turn to the first of the key that waits longest for one."""
        while self._queues:
            key = next(iter(self._queues))
            queue = self._queues.pop(key)
            waiter = queue.popleft()
            if queue:
                self._queues[key] = queue  # behind all others
            if not waiter.done():
                waiter.set_result(None)
                return
        self._busy = False


#: The turns of this process: it has one event loop.
FAIR_QUEUE: Final = FairQueue()


def is_light(text: bytes) -> bool:
    """Say whether a text can be parsed at once, among all that is done at once."""
    size = len(text)
    if size <= LIGHT_BYTES:
        return True
    left = _LIGHT_WEIGHT - size // _BYTES_AS_ONE
    return left > 0 and json_weight.at_most(text) <= left


def limit_of(bounds: BoundsConfig) -> int:
    """Return how much a message may weigh that is judged."""
    return sys.maxsize if bounds.message_values is None else bounds.message_values * json_weight.UNIT


def weighed(text: bytes, limit: int) -> Steps[int]:
    """Return the weight of a text, or something beyond the limit as soon as that is certain.

    Below the limit it may be a bound that the weight does not exceed, such as the length: a byte weighs one at most.
    """
    most = len(text) * json_weight.UNIT
    if most <= limit:
        return most
    most = 0
    for start in range(0, len(text), _COUNTED_AT_ONCE):
        most += json_weight.at_most(text[start : start + _COUNTED_AT_ONCE])
        if most > limit:
            break
        yield
    else:
        return most
    weight = 0
    for weight in json_weight.weigh(text):
        if weight > limit:
            break
        yield
    return weight


def check_weight(text: bytes, limit: int) -> Steps[None]:
    """Check what an answer holds before it is parsed. A text that is short is not looked at.

    Raises:
        UpstreamFault: it weighs more than the limit, in the units of :mod:`ostiary_core.json_weight`.
    """
    if len(text) > LIGHT_BYTES and (yield from weighed(text, limit)) > limit:
        raise UpstreamFault(faults.TOO_LARGE, _WORDS % (limit // json_weight.UNIT))


async def worked_on(steps: Steps[Made], *, text: bytes, proxy: str) -> Made:
    """Do the work on an answer of this proxy: at once where it is light, else in slices when its turn comes.

    A list of tools is often a hundred kilobytes, and a look at all of it would cost half as much as the parse: so its
    length decides.
    """
    if len(text) <= LIGHT_ANSWER_BYTES:
        return at_once(steps)
    async with FAIR_QUEUE.turn(proxy):
        return await in_slices(steps)


def at_once(steps: Steps[Made]) -> Made:
    """Do work that comes in steps, all of it now."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            made: Made = stop.value
            return made


async def in_slices(steps: Steps[Made]) -> Made:
    """Do work that comes in steps; after each slice of time others have their turn."""
    while True:
        until = monotonic() + SLICE_SECONDS
        try:
            while monotonic() < until:
                next(steps)
        except StopIteration as stop:
            made: Made = stop.value
            return made
        await asyncio.sleep(0)
