"""Read a request: its proxy, its caller and its message, by one config.

A body can take long, and so can the check of a credential. So the config in force at the end judges a request, and who
sends it, too.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from ostiary_core.policy.principal import ANONYMOUS
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.content.mask_keys import ContentKeys
from ostiary_gateway.errors import Refusal
from ostiary_gateway.media_types import EVENT_STREAM
from ostiary_gateway.pipeline import whoami
from ostiary_gateway.pipeline.body import body_at_hand, check_accept, check_head, parse_large, read_body
from ostiary_gateway.pipeline.decode import bodiless_revision, decode, parse, request_id
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.http_checks import open_session
from ostiary_gateway.pipeline.large_messages import LIGHT_BYTES, is_light
from ostiary_gateway.pipeline.listen_filter import LISTEN, prepare_listen
from ostiary_gateway.pipeline.opened_sessions import OpenedSessions
from ostiary_gateway.pipeline.refusal_responses import draining
from ostiary_gateway.pipeline.route import config_in_force, route
from ostiary_gateway.server.request import Request


class RequestReader:
    """Routes, authenticates and decodes requests.

    ``snapshot`` returns the config in force, or None before there is one. While ``is_draining``, no new work begins.
    """

    def __init__(
        self,
        *,
        snapshot: Callable[[], Snapshot | None],
        sessions: OpenedSessions,
        is_draining: Callable[[], bool],
        content_keys: ContentKeys,
    ) -> None:
        self._snapshot = snapshot
        self._content_keys = content_keys
        self._sessions = sessions
        self._is_draining = is_draining

    def route(self, request: Request) -> Exchange:
        """Return the exchange of a request to a proxy.

        Raises:
            Refusal: no proxy is there, or no config yet.
        """
        snapshot = config_in_force(self._snapshot(), request, is_draining=self._is_draining())
        # Only the exchange keeps the snapshot: a stream may last for days, and takes each new one.
        try:
            return Exchange(request, snapshot, route(request, snapshot), content_keys=self._content_keys)
        except Refusal:
            asks = whoami.exchange_for(request, snapshot)
            if asks is None:
                raise  # raise here: a frame that held the error would wait for the garbage collector
            return asks

    def recognise(self, exchange: Exchange) -> bool:
        """Find out who sends a request without waiting; return whether that is known by now."""
        request, authenticator = exchange.request, exchange.proxy.authenticator
        principal = authenticator.recognised(request) if authenticator is not None else None
        if principal is None:
            return False
        exchange.principal = request.caller = principal
        return True

    async def authenticate(self, exchange: Exchange) -> None:
        """Find out who sends a request, by the config in force once that is known.

        Raises:
            Refusal: without a valid credential.
        """
        authenticator = exchange.proxy.authenticator
        exchange.principal = exchange.request.caller = (
            await authenticator.authenticate(exchange.request, exchange.snapshot.settings)
            if authenticator is not None
            else ANONYMOUS
        )
        if self._snapshot() is not exchange.snapshot:
            await self._use_current_config(exchange)

    def decode(self, exchange: Exchange) -> Awaitable[None] | None:
        """Read the message, if the request has one, and open the session that it belongs to.

        Return what to await where that cannot be done at once, as for nearly every request it can.

        Raises:
            Refusal: it is not MCP, or is refused for its size or time.
        """
        request = exchange.request
        if exchange.is_whoami:
            return self._read_whoami(exchange)
        exchange.sealed_session = request.headers.get("mcp-session-id")
        if request.method == "POST":
            no_new_work = self._is_draining()
            check_head(request)
            text = body_at_hand(exchange, limit=exchange.snapshot.settings.bounds.request_bytes)
            # Most bodies are short, so their weight is not even computed.
            if text is None or not (len(text) <= LIGHT_BYTES or is_light(text)):
                return self._decode_later(exchange, text, no_new_work=no_new_work)
            return self._take(exchange, parse(text), no_new_work=no_new_work)
        bodiless_revision(request.headers, open_session(exchange, self._sessions))
        if request.method == "GET":
            check_accept(request, EVENT_STREAM)
        return None

    async def _read_whoami(self, exchange: Exchange) -> None:
        if await whoami.read_names(exchange):
            await self._use_current_config(exchange)

    async def _decode_later(self, exchange: Exchange, text: bytes | None, *, no_new_work: bool) -> None:
        taking = self._take(exchange, await self._parse_later(exchange, text), no_new_work=no_new_work)
        if taking is not None:
            await taking

    def _take(self, exchange: Exchange, body: dict[str, Any], *, no_new_work: bool) -> Awaitable[None] | None:
        """Take the message of a parsed body; return what to await before it is complete."""
        try:
            message = decode(body, exchange.request.headers, lambda: open_session(exchange, self._sessions))
        except Refusal:
            exchange.request_id = request_id(body)
            raise
        exchange.message = message
        exchange.request_id = message.id if message.method is not None else None
        # A request in flight waits for the caller's response to what its server asked.
        if no_new_work and message.is_request:
            raise draining()
        return prepare_listen(exchange) if message.method is LISTEN else None

    async def _parse_later(self, exchange: Exchange, text: bytes | None) -> dict[str, Any]:
        """Parse a body that must be awaited (None), or that is so large that it must queue."""
        if text is None:
            text = await read_body(exchange, limit=exchange.snapshot.settings.bounds.request_bytes)
        body = parse(text) if is_light(text) else await parse_large(exchange, text)
        await self._use_current_config(exchange)
        return body

    async def _use_current_config(self, exchange: Exchange) -> None:
        """Switch to the config now in force.

        A body can take long, and is judged by the config at its end: its caller, too.
        """
        current = self._snapshot()
        if current is not None and current is not exchange.snapshot:
            exchange.snapshot = current
            exchange.proxy = self.route(exchange.request).proxy
            await self.authenticate(exchange)
