"""One open stream: the policy and the caller that it follows.

A stream can stay open for days. It takes each new config (:mod:`.open_streams`), and delivers nothing before that
allows it. Where several servers feed it, it ends once the caller may see something of others than before: a server
that the caller has lost must not be heard any more, and the client opens the stream again at those that are left.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from time import time
from typing import Any, Final

from ostiary_core.mcp.meta_keys import META_SUBSCRIPTION
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.principal import ANONYMOUS, Principal
from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.authorize import authorize
from ostiary_gateway.pipeline.blocks import is_blocked
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.list_changed_notifications import ListNotices
from ostiary_gateway.pipeline.listen_filter import LISTEN, prepare_listen
from ostiary_gateway.pipeline.merged_sessions.visible_servers import visible_servers
from ostiary_gateway.pipeline.quota_discovery import watched_limits
from ostiary_gateway.pipeline.sse_transport import Closable

#: How long the authentication of an open stream's caller may take. After that the stream is closed.
_AUTHENTICATION_SECONDS: Final = 10.0


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
    #: The places of the servers of which the caller may see something, where there are several.
    _servers: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Create the notices of the stream."""
        self.notices = ListNotices(self.exchange)
        self._servers = self._visible()

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
        self._end_if_led_elsewhere()

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
            self._end_if_led_elsewhere()
            self.end_at_expiry()

    def _end_if_led_elsewhere(self) -> None:
        """End the stream if the caller may see something of other servers than when it began.

        A caller that must be authenticated again is compared after that.
        """
        if not self.unauthenticated and self._visible() != self._servers:
            self.end()

    def _visible(self) -> tuple[int, ...]:
        return visible_servers(self.exchange) if self.proxy.names is not None else ()

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


def listen_ended(request_id: str | int | None) -> dict[str, Any]:
    """Return the graceful end of a listen stream (specification, Subscriptions)."""
    meta = {META_SUBSCRIPTION: request_id}
    return {"jsonrpc": "2.0", "id": request_id, "result": {"resultType": "complete", "_meta": meta}}
