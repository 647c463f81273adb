"""Process large messages one at a time, in slices, with a fair queue over the proxies.

The event loop does one thing at a time, and a running parser cannot be interrupted. The cost of one message is bounded
(``bounds.messageValues``), but a hundred of them in sequence would block all other requests for a second. So only one
large message is processed at a time, the loop iterates a few times before the next one, and that is another proxy's if
one waits. A message that is certainly light does not queue: only its length is checked.
"""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias, TypeVar

from ostiary_core import json_weight, steps
from ostiary_core.contract.bounds import BoundsConfig
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.running_steps import RunningSteps
from ostiary_gateway.upstream import faults

Result = TypeVar("Result")
#: Work on a message in steps, between which other tasks may run, and its result.
Steps: TypeAlias = steps.Steps[Result]

#: A text of at most this many bytes is light, whatever it holds: parsing takes about a millisecond.
LIGHT_BYTES: Final = 8 * 1024
#: The same for a server's responses, which are requested one by one.
LIGHT_ANSWER_BYTES: Final = 32 * 1024
#: A longer text is light up to this weight, to which every ``_BYTES_AS_ONE`` bytes of its length add one.
_LIGHT_WEIGHT: Final = 2048 * json_weight.UNIT
_BYTES_AS_ONE: Final = 64
#: Seconds of work after which other tasks may run.
SLICE_SECONDS: Final = 0.001
#: Loop iterations before the next large message: an ordinary call takes about as many in all.
_ROUNDS: Final = 6
#: Text that is only read, not judged, uses a faster parser: its weight may be this many times larger.
UNJUDGED: Final = 3
#: The number of list items that are judged in one step.
ITEMS_AT_ONCE: Final = 32
_COUNTED_AT_ONCE: Final = 1 << 20
_WORDS: Final = "the answer holds more than %d values (bounds.messageValues)"


class LargeMessageQueue:
    """Serves one waiter at a time, round-robin over keys. Must be used within one event loop."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, deque[asyncio.Future[None]]] = {}
        self._busy = False
        #: The number of turns so far.
        self.taken = 0

    @asynccontextmanager
    async def turn(self, key: Hashable) -> AsyncIterator[None]:
        """Wait for a turn, first in, first out within a key and round-robin over keys.

        It ends with the block.
        """
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
                self._give()  # the turn was granted already, and passes to the next waiter
            raise

    def _next_after(self, rounds: int) -> None:
        if rounds:
            asyncio.get_running_loop().call_soon(self._next_after, rounds - 1)
        else:
            self._give()

    def _give(self) -> None:
        """Grant the turn to the first waiter of the key that has waited longest."""
        while self._queues:
            key = next(iter(self._queues))
            queue = self._queues.pop(key)
            waiter = queue.popleft()
            if queue:
                self._queues[key] = queue  # behind all other keys
            if not waiter.done():
                waiter.set_result(None)
                return
        self._busy = False


#: The queue of this process, which has one event loop.
LARGE_MESSAGES: Final = LargeMessageQueue()


def is_light(text: bytes) -> bool:
    """Return whether a text can be parsed at once without delaying other tasks."""
    size = len(text)
    if size <= LIGHT_BYTES:
        return True
    left = _LIGHT_WEIGHT - size // _BYTES_AS_ONE
    return left > 0 and json_weight.at_most(text) <= left


def limit_of(bounds: BoundsConfig) -> int:
    """Return the greatest weight of a message that is judged."""
    return sys.maxsize if bounds.message_values is None else bounds.message_values * json_weight.UNIT


def weighed(text: bytes, limit: int) -> Steps[int]:
    """Return the weight of a text.

    Beyond the limit, any larger value as soon as that is certain.

    Below the limit it may be an upper bound of the weight, such as the length: a byte weighs one at most.
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
    """Check the weight of a response before it is parsed. A short text is not examined.

    Raises:
        UpstreamFault: it exceeds the limit, in the units of :mod:`ostiary_core.json_weight`.
    """
    if len(text) > LIGHT_BYTES and (yield from weighed(text, limit)) > limit:
        raise UpstreamFault(faults.TOO_LARGE, _WORDS % (limit // json_weight.UNIT))


async def process_large(steps: Steps[Result], *, text: bytes, proxy: str) -> Result:
    """Process a response of this proxy.

    A light one is processed at once, any other in slices in its turn of the queue.

    A list of tools often has a hundred kilobytes, and computing its weight would cost half as much as the parse, so its
    length decides.
    """
    return await process_sized(steps, size=len(text), proxy=proxy)


async def process_sized(steps: Steps[Result], *, size: int, proxy: str) -> Result:
    """Process what takes as long as a response of ``size`` bytes would.

    What it awaits is awaited outside of its turn, which others may have meanwhile.
    """
    running = RunningSteps(steps)
    if size <= LIGHT_ANSWER_BYTES:
        return await running.soon()
    while not running.is_done:
        async with LARGE_MESSAGES.turn(proxy):
            await running.slices(SLICE_SECONDS)
        if not running.is_done:
            await running.awaited()
    return running.result()


def at_once(work: Steps[Result]) -> Result:
    """Do all steps of the work now, which awaits nothing."""
    return steps.run_steps(work)


async def in_slices(steps: Steps[Result]) -> Result:
    """Do work in steps; after each slice of time let other tasks run."""
    running = RunningSteps(steps)
    while not running.is_done:
        await running.slices(SLICE_SECONDS)
        if not running.is_done:
            await running.awaited()
    return running.result()
