"""Before a call: is its name approved, and was its definition seen as approved lately?

A name that no lock approves does not exist. Of an approved one a replica must have seen the definition as approved
within ``recheck``; where it has not, or saw it drift, it asks the server for its list first, with the credential and in
the session of the caller, and once for all calls that wait for it.
"""

import asyncio
from collections.abc import Hashable
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final
from weakref import WeakKeyDictionary

from ostiary_core.definitions.definition_rules import DefinitionRules, ServerLock
from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import LISTS, AuthorizationKind, Method, Primitive
from ostiary_core.policy.decision import Decision, DecisionReason
from ostiary_gateway.config.pinned_state import pinned_state
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.authorize import DeniedError, unknown_name
from ostiary_gateway.pipeline.content.content_refusal import ContentReason, content_refused
from ostiary_gateway.pipeline.content.destinations import recipients
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import process_large
from ostiary_gateway.pipeline.lists.caller_context import presented
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.message_members import completion_reference
from ostiary_gateway.pipeline.pinned_definitions.pinned_lists import drift_finding, pinning
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.pipeline.tool_definitions.list_pages import list_pages
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream.server import UpstreamServer

#: Seconds that all pages of a list may take, and for which a server is not asked again after it was.
_SECONDS: Final = 5.0
_AGAIN: Final = 1.0
_LIST_OF: Final = {Primitive.TOOLS: "tools", Primitive.PROMPTS: "prompts"}
_CHANGED: Final = (
    "This {what} is not as it was approved: its definition has changed, and is under review. Do not use it; continue "
    "without it, and tell the user that its definition changed."
)
_NOT_CHECKED: Final = (
    "The gateway could not check the definition of this {what}, since its server did not list it. Try again later, or "
    "continue without it."
)
_NOUNS: Final = {Primitive.TOOLS: "tool", Primitive.RESOURCES: "resource", Primitive.PROMPTS: "prompt"}
_NOT_APPROVED: Final = Decision(False, DecisionReason.NOT_IN_CATALOGUE)

_Flights = WeakKeyDictionary[DefinitionRules, dict[tuple[int, Hashable, str], asyncio.Future[bool | None]]]
_FLIGHTS: Final[_Flights] = WeakKeyDictionary()


async def check_definition(exchange: Exchange, span: ServerSpan, services: PipelineServices) -> None:
    """Refuse a message about something whose definition is not approved, or no longer is.

    Raises:
        DeniedError: its name is not approved.
        Refusal: DefinitionChanged (-31001), or its arguments are no object.
    """
    rules, message = exchange.visibility.definitions, exchange.message
    named = _named(message) if message is not None else None
    if rules is None or not rules.blocks or message is None or named is None:
        return
    primitive, name = named
    for server, own in recipients(exchange):
        place = exchange.proxy.servers.index(server)
        lock = rules.lock_of(place)
        found = _approved(lock, primitive, own) if lock is not None else None
        if found is None:
            raise DeniedError(unknown_name(primitive, name), _NOT_APPROVED)
        check = _Check(exchange, span, services, rules, server, place, LISTS[found[0]])
        if message.method is not None and message.method.authorization is AuthorizationKind.NAME:
            await check.verify(message, primitive, found[1])


def _named(message: Message) -> tuple[Primitive, str] | None:
    """Return what a message is about; None for one that is about nothing in a list."""
    method = message.method
    if method is None:
        return None
    if method.authorization is AuthorizationKind.COMPLETION:
        return completion_reference(message)
    if method.authorization is not AuthorizationKind.NAME or method.primitive is None:
        return None
    return method.primitive, message.name


def _approved(lock: ServerLock, primitive: Primitive, name: str) -> tuple[str, str] | None:
    """Return the list and the item whose definition approves a name; None where nothing does."""
    if primitive is Primitive.RESOURCES:
        return lock.of_uri(name)
    key = _LIST_OF[primitive]
    return (key, name) if lock.knows(key, name) else None


@dataclass(frozen=True, slots=True)
class _Check:
    """The check of one name at one server."""

    exchange: Exchange
    span: ServerSpan
    services: PipelineServices
    rules: DefinitionRules
    server: UpstreamServer
    place: int
    method: Method
    """That of the list which holds the definition."""

    async def verify(self, message: Message, primitive: Primitive, item: str) -> None:
        """Refuse the message unless the definition was seen as approved lately, or is now.

        Raises:
            Refusal: DefinitionChanged.
        """
        if self._is_seen(item, self.rules.recheck):
            return
        was_answered = await self._asked()
        if self._is_seen(item, self.rules.recheck):
            return
        self.exchange.note_findings((drift_finding(self.exchange, self.rules, 1),))
        words = (_CHANGED if was_answered else _NOT_CHECKED).format(what=_NOUNS[primitive])
        raise content_refused(message, ContentReason.DEFINITION_CHANGED, words, code=codes.DENIED)

    def _is_seen(self, item: str, seconds: float) -> bool:
        state, context = pinned_state(self.rules), presented(self.exchange, self.server)
        return state.is_seen(self.place, context, self.method.list_key, item, since=monotonic() - seconds)

    async def _asked(self) -> bool:
        """Ask the server for its list, and return whether it answered.

        Calls that need the same list wait for one request. A caller that leaves hands it to the next one.
        """
        flights = _FLIGHTS.setdefault(self.rules, {})
        key = (self.place, presented(self.exchange, self.server), self.method.list_key)
        while (flight := flights.get(key)) is not None:
            if (found := await asyncio.shield(flight)) is not None:
                return found
        flight = flights[key] = asyncio.get_running_loop().create_future()
        answered: bool | None = None
        try:
            answered = await self._fetch()
        finally:
            if answered is None:
                del flights[key]
            else:
                asyncio.get_running_loop().call_later(_AGAIN, _forget, flights, key)
            flight.set_result(answered)
        return answered

    async def _fetch(self) -> bool:
        is_first = True
        pages = list_pages(self.exchange, self.server, self.method, self.span, self.services)
        try:
            async with asyncio.timeout(_SECONDS), aclosing(pages):
                async for answer in pages:
                    steps = pinning(self.exchange, self.server, self.method, answer.result, is_first=is_first)
                    await process_large(steps, text=answer.text, proxy=self.exchange.proxy.uid)
                    is_first = False
        except (TimeoutError, UpstreamFault):
            return False
        return True


def _forget(flights: dict[Any, Any], key: Hashable) -> None:
    flights.pop(key, None)
