"""Ask a server for a definition that a call needs, once for all calls that need it.

All of the list is asked for, in the session and with the credential of a caller. Calls of callers that look the same to
the server wait for the same request, and for a while nothing is asked again: neither an unknown name nor arguments that
do not fit let a caller have a server asked for its list with every call.
"""

import asyncio
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final
from weakref import WeakKeyDictionary

from ostiary_core.mcp.methods import Method
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import process_large
from ostiary_gateway.pipeline.list_observation import observe
from ostiary_gateway.pipeline.lists.caller_context import presented
from ostiary_gateway.pipeline.merged.page_requests import ListAsker
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.own_request import OwnRequest
from ostiary_gateway.pipeline.server_answer import ServerAnswer
from ostiary_gateway.pipeline.server_request import ask
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.pipeline.tool_definitions.definition_store import DEFINITIONS, MOST_DEFINITIONS, KnownDefinition
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream.server import UpstreamServer

#: Seconds for which a list is not asked for again, and the same where its server failed.
FRESH_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 5.0
#: Seconds that all pages may take, and the most pages that are read.
_SECONDS: Final = 5.0
_PAGES: Final = 64

_FLIGHTS: Final[WeakKeyDictionary[UpstreamServer, dict[tuple[Hashable, str], asyncio.Future[None]]]] = (
    WeakKeyDictionary()
)


@dataclass(frozen=True, slots=True)
class DefinitionFetch:
    """Finds definitions for calls; what is asked for is noted in one span."""

    services: PipelineServices
    span: ServerSpan

    async def known(
        self, exchange: Exchange, server: UpstreamServer, method: Method, name: str
    ) -> KnownDefinition | None:
        """Return a definition by its server's own name, from the store or from the server.

        None where the server does not list it, or does not answer.

        Raises:
            Refusal: the caller has ended its session.
        """
        context = presented(exchange, server)
        found = DEFINITIONS.find(server, context, method.name, name)
        if found is None and not DEFINITIONS.was_listed(server, context, method.name):
            await self._fetch_once(exchange, server, context, method, name)
            found = DEFINITIONS.find(server, context, method.name, name)
        return found

    async def fresh(
        self, exchange: Exchange, server: UpstreamServer, method: Method, name: str
    ) -> KnownDefinition | None:
        """Return a definition that was asked for lately.

        Where the server does not answer, it is the one that is known.

        Raises:
            Refusal: the caller has ended its session.
        """
        context = presented(exchange, server)
        if not DEFINITIONS.was_listed(server, context, method.name):
            await self._fetch_once(exchange, server, context, method, name)
        return DEFINITIONS.find(server, context, method.name, name)

    async def _fetch_once(
        self, exchange: Exchange, server: UpstreamServer, context: Hashable, method: Method, wanted: str
    ) -> None:
        """Ask for a list, or wait for the request that does.

        A caller that leaves hands it to the next one.
        """
        flights = _FLIGHTS.setdefault(server, {})
        while (flight := flights.get((context, method.name))) is not None:
            await asyncio.shield(flight)
            if DEFINITIONS.was_listed(server, context, method.name):
                return
        flight = flights[context, method.name] = asyncio.get_running_loop().create_future()
        try:
            seconds = await self._fetch(exchange, server, context, method, wanted)
            DEFINITIONS.of(server).note_listed(context, method.name, until=monotonic() + seconds)
        finally:
            del flights[context, method.name]
            flight.set_result(None)

    async def _fetch(
        self, exchange: Exchange, server: UpstreamServer, context: Hashable, method: Method, wanted: str
    ) -> float:
        """Ask for a list; return the seconds for which it is not asked for again."""
        asker = ListAsker(exchange, server, self.span, self.services)
        try:
            async with asyncio.timeout(_SECONDS):
                await self._pages(asker, context, method, wanted)
        except TimeoutError:
            return FRESH_SECONDS  # else each call would wait for it
        except UpstreamFault:
            return _RETRY_SECONDS
        finally:
            asker.close()
        return FRESH_SECONDS

    async def _pages(self, asker: ListAsker, context: Hashable, method: Method, wanted: str) -> None:
        params: dict[str, Any] = {}
        seen: set[str] = set()
        count = 0
        while len(seen) < _PAGES and count < MOST_DEFINITIONS:
            answer = await self._page(asker, method, params)
            result = answer.result or {}
            items = result.get(method.list_key)
            count += len(items) if isinstance(items, list) else 0
            observe(asker.server, method, answer.text, answer.message)
            learning = DEFINITIONS.learning(asker.server, context, method, result, wanted=wanted)
            await process_large(learning, text=answer.text, proxy=asker.exchange.proxy.uid)
            cursor = result.get("nextCursor")
            if not isinstance(cursor, str) or cursor in seen:
                break
            seen.add(cursor)
            params = {"cursor": cursor}

    async def _page(self, asker: ListAsker, method: Method, params: Mapping[str, Any]) -> ServerAnswer:
        session = asker.exchange.session
        if session is None or isinstance(session, SessionVector):
            return await asker.page(method.name, params, seconds=_SECONDS)
        request = OwnRequest(
            method.name, params, session.revision, session.upstream_id or None, endpoint=session.endpoint
        )
        return await ask(asker.exchange, asker.server, request, span=self.span, seconds=_SECONDS)
