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
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Any, Final
from weakref import WeakKeyDictionary

from ostiary_core.mcp.meta_keys import META_SUBSCRIPTION
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.principal import ANONYMOUS, Principal
from ostiary_gateway.config.runtime import CallerAuthenticator, ProxyRuntime
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.authorize import authorize
from ostiary_gateway.pipeline.blocks import is_blocked
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.list_changed_notifications import ListNotices
from ostiary_gateway.pipeline.listen_filter import LISTEN, prepare_listen
from ostiary_gateway.pipeline.quota_discovery import watched_limits
from ostiary_gateway.pipeline.sse_transport import Closable

#: How long streams are authorized before other requests are served.
_SLICE_SECONDS: Final = 0.01
#: How long the authentication of an open stream's caller may take. After that the stream is closed.
_AUTHENTICATION_SECONDS: Final = 10.0
#: Seconds after which the caller of an open stream is authenticated again if its token may be revoked meanwhile.
_REVOCATION_CHECK_SECONDS: Final = 60.0
#: The most streams of one proxy whose callers are authenticated at the same time; introspection refuses too many.
_OF_ONE_PROXY: Final = 32
#: The most streams whose authentication begins before other requests are served.
_BEGUN_AT_ONCE: Final = 32


@dataclass(slots=True, eq=False)
class OpenStream:
    """A GET or a listen that is being relayed.

    ``proxy`` is the runtime whose policy applies to its messages now.

    ``unsettled`` while it has a new runtime and has not been authorized by it, ``unauthenticated`` while its caller has
    not been authenticated by it.
    """

    proxy: ProxyRuntime
    exchange: Exchange
    response: Closable
    ended: bool = False
    unsettled: bool = False
    unauthenticated: bool = False
    notices: ListNotices = field(init=False)
    #: The authentication in progress, of those that :class:`OpenStreams` begins.
    authentication: asyncio.Task[None] | None = None
    #: The next check whether the caller's token was revoked.
    revocation_check: asyncio.TimerHandle | None = None
    _expiry: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        """Create the notices of the stream."""
        self.notices = ListNotices(self.exchange)

    def end(self) -> None:
        """Close the stream: its relay reads the end of the upstream response."""
        self.ended = True
        self.response.close()

    def replace_runtime(self, proxy: ProxyRuntime | None) -> None:
        """Take a new runtime, which authorizes the stream later.

        End the stream if its servers are others.
        """
        if proxy is None or proxy.uid != self.proxy.uid or proxy.servers != self.proxy.servers:
            self.end()
            return
        seen = self.exchange.visibility
        if proxy.authenticator is not self.proxy.authenticator:
            self.unauthenticated = True
        if watched_limits(self.proxy.limits) != watched_limits(proxy.limits):
            self.notices.owe(frozenset({Primitive.TOOLS}))
        self.proxy = self.exchange.proxy = proxy
        self.notices.compare(seen, self.exchange.visibility)
        self.unsettled = self.exchange.message is not None

    async def authenticate(self) -> None:
        """Authenticate the caller again if that is due.

        The stream ends if the caller is refused, is another principal, or cannot be authenticated in time.
        """
        try:
            async with asyncio.timeout(_AUTHENTICATION_SECONDS):
                await self._authenticate()
        except TimeoutError:
            self.end()

    async def _authenticate(self) -> None:
        while self.unauthenticated and not self.ended:
            proxy = self.proxy
            principal = await self._principal()
            if proxy is not self.proxy:
                continue
            self.unauthenticated = False
            if principal is None or principal.id != self.exchange.principal.id:
                self.end()
                return
            seen = self.exchange.visibility
            self.exchange.principal = principal
            if is_blocked(self.exchange):
                self.end()
                return
            self.notices.compare(seen, self.exchange.visibility)
            self.end_at_expiry()

    async def _principal(self) -> Principal | None:
        authenticator = self.proxy.authenticator
        if authenticator is None:
            return ANONYMOUS
        try:
            return await authenticator.authenticate(self.exchange.request, self.exchange.snapshot.settings)
        except Refusal:
            return None

    def end_at_expiry(self) -> None:
        """End the stream when its caller's credential expires; later if the clock is set back."""
        self.cancel_expiry()
        expires = self.exchange.principal.expires_at
        if expires is None:
            return
        seconds = expires - time()
        if seconds <= 0:
            self.end()
        else:
            self._expiry = asyncio.get_running_loop().call_later(seconds, self.end_at_expiry)

    def release(self) -> None:
        """Release what a stream that has closed waits for."""
        self.notices.close()
        self.cancel_expiry()
        if self.revocation_check is not None:
            self.revocation_check.cancel()
        if self.authentication is not None:
            self.authentication.cancel()

    def cancel_expiry(self) -> None:
        """Stop waiting for the expiry."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    async def prepare(self) -> None:
        """Judge a long filter in slices, so that :meth:`settle` takes no time."""
        message = self.exchange.message
        if message is not None and message.method is LISTEN:
            with suppress(Refusal):  # settle meets it again
                await prepare_listen(self.exchange)

    def settle(self) -> None:
        """Authorize the stream again if that is due, and end it if the new runtime refuses it."""
        message = self.exchange.message
        if not self.unsettled or message is None:
            return
        self.unsettled = False
        try:
            authorize(self.exchange)
        except Refusal:
            self.end()


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


def listen_ended(request_id: str | int | None) -> dict[str, Any]:
    """Return the graceful end of a listen stream (specification, Subscriptions)."""
    meta = {META_SUBSCRIPTION: request_id}
    return {"jsonrpc": "2.0", "id": request_id, "result": {"resultType": "complete", "_meta": meta}}
