"""Open streams, and the effect of a new config on them.

A call in flight ends under the policy that authorized it. A stream can stay open for days, so its caller is
authenticated and authorized again when the entry of its proxy changes: it continues under the new policy, or is closed.
It is closed when its caller's credential expires, and when the settings block its caller, proxy or server. Where an
authorization server may revoke the caller's token at any time, the caller is authenticated again each minute.
There may be hundreds of streams, each with a thousand URIs, so they are authorized in slices between which other
requests are served. A stream that waits for this has the new policy already, and delivers nothing before. Callers are
authenticated in parallel: an identity provider that responds slowly delays its own callers' streams only. Those of one
proxy wait for each other, since too many at once would be refused.
Draining closes all streams: their clients open them again at another replica.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from time import monotonic
from typing import Final
from weakref import WeakKeyDictionary

from ostiary_gateway.config.runtime import CallerAuthenticator
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.pipeline.blocks import is_blocked
from ostiary_gateway.pipeline.open_stream import OpenStream

#: How long streams are authorized before other requests are served.
_SLICE_SECONDS: Final = 0.01
#: Seconds after which the caller of an open stream is authenticated again if its token may be revoked meanwhile.
_REVOCATION_CHECK_SECONDS: Final = 60.0
#: The most streams of one proxy whose callers are authenticated at the same time; introspection refuses too many.
_OF_ONE_PROXY: Final = 32
#: The most streams whose authentication begins before other requests are served.
_BEGUN_AT_ONCE: Final = 32


@dataclass(slots=True)
class OpenStreams:
    """All open streams of one gateway process."""

    _streams: set[OpenStream] = field(default_factory=set)
    _settling: asyncio.Task[None] | None = None
    _rooms: WeakKeyDictionary[CallerAuthenticator, asyncio.Semaphore] = field(default_factory=WeakKeyDictionary)

    def opened(self, stream: OpenStream, current: Snapshot | None) -> None:
        """Add a stream. ``current`` is the config in force now, None while draining.

        It was authorized before the request was forwarded: if the config has changed since, it is authorized again.
        """
        proxy = current.proxies.get(stream.proxy.identity) if current is not None else None
        if current is not None:
            stream.exchange.snapshot = current
            if is_blocked(stream.exchange):
                stream.end()
        if proxy is not stream.proxy:
            stream.replace_runtime(proxy)
            stream.settle()
        self._streams.add(stream)
        stream.end_at_expiry()
        self._check_revocation_later(stream)
        self._settle_soon()

    def _check_revocation_later(self, stream: OpenStream) -> None:
        if stream.exchange.principal.method == "introspection":
            loop = asyncio.get_running_loop()
            stream.revocation_check = loop.call_later(_REVOCATION_CHECK_SECONDS, self._check_revocation, stream)

    def _check_revocation(self, stream: OpenStream) -> None:
        stream.unauthenticated = True
        self._settle_soon()
        self._check_revocation_later(stream)

    def closed(self, stream: OpenStream) -> None:
        """Remove a stream."""
        self._streams.discard(stream)
        stream.release()

    def on_swap(self, snapshot: Snapshot, changed: frozenset[str]) -> None:
        """Authorize the streams of changed proxies again, and end those that are blocked.

        No stream keeps an old snapshot: it may be open for days.
        """
        for stream in list(self._streams):
            stream.exchange.snapshot = snapshot
            if is_blocked(stream.exchange):
                stream.end()
            elif stream.proxy.identity in changed:
                stream.replace_runtime(snapshot.proxies.get(stream.proxy.identity))
        self._settle_soon()

    def _settle_soon(self) -> None:
        if self._settling is None and any(map(_is_due, self._streams)):
            self._settling = asyncio.get_running_loop().create_task(self._settle())

    async def _settle(self) -> None:
        """Authorize all streams that are unsettled, also those that a further swap adds meanwhile.

        Those whose callers must be authenticated first come back when they are.
        """
        try:
            since, begun = monotonic(), 0
            while waiting := list(filter(_is_due, self._streams)):
                for stream in waiting:
                    if stream.unauthenticated:
                        self._authenticate_soon(stream)
                        begun += 1
                    else:
                        await stream.prepare()
                        stream.settle()
                    if begun >= _BEGUN_AT_ONCE or monotonic() - since >= _SLICE_SECONDS:
                        await asyncio.sleep(0)
                        since, begun = monotonic(), 0
        finally:
            self._settling = None

    def _authenticate_soon(self, stream: OpenStream) -> None:
        if stream.authentication is None and not stream.ended:
            stream.authentication = asyncio.get_running_loop().create_task(self._authenticate(stream))

    async def _authenticate(self, stream: OpenStream) -> None:
        try:
            async with self._room(stream.proxy.authenticator):
                await stream.authenticate()
        except BaseException:
            stream.end()  # a bug must not leave a stream open that was not authenticated
            raise
        finally:
            stream.authentication = None
        stream.notices.retry()
        self._settle_soon()

    def _room(self, authenticator: CallerAuthenticator | None) -> AbstractAsyncContextManager[None]:
        if authenticator is None:
            return nullcontext()
        return self._rooms.setdefault(authenticator, asyncio.Semaphore(_OF_ONE_PROXY))

    def __iter__(self) -> Iterator[OpenStream]:
        """Yield the streams that are open now."""
        return iter(list(self._streams))

    def end_all(self) -> None:
        """End every stream."""
        for stream in list(self._streams):
            stream.end()


def _is_due(stream: OpenStream) -> bool:
    if stream.ended or stream.authentication is not None:
        return False
    return stream.unsettled or stream.unauthenticated
