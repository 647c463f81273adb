"""Callers that go on while the replicas of a server are replaced: calls with and without a session, and streams.

async with rollout_load([url], sessions=50, streams=20, rate=500) as load: …
assert load.failures == []
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from mcp_caller import LEGACY, McpCaller, Reply, legacy, modern
from timeouts import TIMEOUT_SECONDS

_CALL: Final = {"name": "who", "arguments": {}}
_HELLO: Final = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
#: Callers without a session; each has one request open at a time.
_STATELESS: Final = 25
#: The most failures that are kept; each is a line.
_MOST_KEPT: Final = 20


@dataclass
class RolloutLoad:
    """What the callers saw.

    ``failed`` counts by caller what no caller may see; ``failures`` are the first of them. ``replicas`` counts the
    calls that each replica answered; ``moved`` are the sessions that were answered by more than one; ``events`` counts
    those that came on each stream.
    """

    urls: Sequence[str]
    http: aiohttp.ClientSession
    failed: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    replicas: dict[str, int] = field(default_factory=dict)
    moved: set[int] = field(default_factory=set)
    events: dict[int, int] = field(default_factory=dict)
    streams_opened: int = 0
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _ending: bool = False

    @property
    def calls(self) -> int:
        """How many calls were answered."""
        return sum(self.replicas.values())

    @property
    def event_counts(self) -> list[int]:
        """How many events each stream has brought, in the order of the streams."""
        return [count for _, count in sorted(self.events.items())]

    def has_answer_of(self, replica: str) -> bool:
        """Whether a replica has answered a call."""
        return replica in self.replicas

    def fail(self, whose: str, what: str) -> None:
        """Note a failure that one caller saw."""
        self.failed[whose] = self.failed.get(whose, 0) + 1
        if len(self.failures) < _MOST_KEPT:
            self.failures.append(f"{whose}: {what}")

    def _caller(self, number: int) -> McpCaller:
        return McpCaller(self.urls[number % len(self.urls)], self.http, {})

    async def start(self, *, sessions: int, streams: int, rate: float) -> None:
        """List the tools and open the sessions, then begin to call and to listen."""
        for number in range(len(self.urls)):  # each gateway learns from it which tools only read
            assert (await self._caller(number).post(modern("tools/list"))).result["tools"]
        opened = await asyncio.gather(*(self._open(number) for number in range(sessions)))
        period = (sessions + _STATELESS) / rate
        for number, caller in enumerate(opened):
            whose = f"session {number}"
            self._begin(self._pace(whose, self._in_session(number, caller, whose), period))
        for number in range(_STATELESS):
            whose = f"caller {number}"
            self._begin(self._pace(whose, self._without_session(self._caller(number), whose), period))
        for number, caller in enumerate(opened[:streams]):
            self._begin(self._listen(number, caller))

    def _begin(self, work: Awaitable[None]) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    async def _open(self, number: int) -> McpCaller:
        caller = self._caller(number)
        reply = await caller.post(legacy("initialize", _HELLO, id=0))
        assert reply.status == 200, reply.body
        caller.session = reply.headers["Mcp-Session-Id"]
        assert (await caller.post(legacy("notifications/initialized", id=None))).status == 202
        return caller

    async def _pace(self, whose: str, call: Callable[[int], Awaitable[None]], period: float) -> None:
        """Call once a period, or as often as answers come, if that is less."""
        loop = asyncio.get_running_loop()
        number, due = 0, loop.time()
        while not self._ending:
            number += 1
            try:
                await call(number)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                self.fail(whose, f"{type(error).__name__}: {error}")
            due = max(due + period, loop.time())
            await asyncio.sleep(due - loop.time())

    def _in_session(self, session: int, caller: McpCaller, whose: str) -> Callable[[int], Awaitable[None]]:
        replica = ""

        async def call(number: int) -> None:
            nonlocal replica
            answered = self._count(await caller.post(legacy("tools/call", _CALL, id=number)), whose)
            if replica and answered and answered != replica:
                self.moved.add(session)
            replica = answered or replica

        return call

    def _without_session(self, caller: McpCaller, whose: str) -> Callable[[int], Awaitable[None]]:
        async def call(number: int) -> None:
            self._count(await caller.post(modern("tools/call", _CALL, id=number)), whose)

        return call

    def _count(self, reply: Reply, whose: str) -> str:
        """Count an answer; return the replica that gave it, or nothing."""
        try:
            answered = str(reply.result["content"][0]["text"])
        except (KeyError, IndexError, ValueError, AssertionError):
            self.fail(whose, f"{reply.status} {reply.body[:300]!r}")
            return ""
        self.replicas[answered] = self.replicas.get(answered, 0) + 1
        return answered

    async def _listen(self, number: int, caller: McpCaller) -> None:
        """Hold the stream of a session; open it again when it ends in order, as clients do."""
        while not self._ending:
            try:
                await self._hold(number, caller)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                if not self._ending:
                    self.fail(f"stream {number}", f"it broke off: {type(error).__name__}: {error}")
            await asyncio.sleep(0.05)

    async def _hold(self, number: int, caller: McpCaller) -> None:
        headers = caller.headers(None, {"Content-Type": None, "Accept": "text/event-stream"})
        async with self.http.get(caller.url, headers=headers) as response:
            if response.status != 200:
                self.fail(f"stream {number}", f"it was refused: {response.status} {(await response.read())[:300]!r}")
                return
            self.streams_opened += 1
            async for line in response.content:
                self.events[number] = self.events.get(number, 0) + line.startswith(b"data:")
                if self._ending:
                    return

    async def end(self) -> None:
        """Let the calls in flight end; then go."""
        self._ending = True
        _, late = await asyncio.wait(self._tasks, timeout=TIMEOUT_SECONDS)
        for task in late:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                self.fail("the test", f"a caller failed by itself: {outcome!r}")


@asynccontextmanager
async def rollout_load(urls: Sequence[str], *, sessions: int, streams: int, rate: float) -> AsyncIterator[RolloutLoad]:
    """Callers of these endpoints, spread over them; ``rate`` is in calls a second."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_SECONDS, sock_read=TIMEOUT_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        load = RolloutLoad(urls, http)
        await load.start(sessions=sessions, streams=streams, rate=rate)
        try:
            yield load
        finally:
            await load.end()
