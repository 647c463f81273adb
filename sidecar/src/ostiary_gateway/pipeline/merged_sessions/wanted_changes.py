"""Which changes the caller of a stream wants to hear of."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary_core.mcp.meta_keys import META_SUBSCRIPTION
from ostiary_core.mcp.methods import Primitive
from ostiary_gateway.config.server_selection import MergeRuntime
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.list_changed_notifications import ACKNOWLEDGED
from ostiary_gateway.pipeline.listen_filter import listen_filter
from ostiary_gateway.pipeline.merged_sessions.visible_servers import visible_servers
from ostiary_gateway.pipeline.routing.route_decision import decide_subscription

_RESOURCES: Final = "resourceSubscriptions"
#: URIs that are routed before other requests are served.
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class WantedChanges:
    """What a caller wants to hear of.

    ``subscription`` is the id of its ``subscriptions/listen``, None for a session, which hears of every list and of
    what it has subscribed to. ``uris`` are the resources of a listen by the place of their server, under its own URIs,
    and ``exposed`` are the same as the caller knows them.
    """

    lists: frozenset[Primitive] = frozenset(Primitive)
    subscription: str | int | None = None
    uris: Mapping[int, Sequence[str]] = field(default_factory=dict)
    exposed: frozenset[str] = frozenset()

    def filter_for(self, place: int) -> dict[str, Any]:
        """Return the filter of a listen of the gateway's own at a server."""
        found: dict[str, Any] = {_member(primitive): True for primitive in sorted(self.lists)}
        if uris := self.uris.get(place):
            found[_RESOURCES] = list(uris)
        return found

    def acknowledgement(self) -> dict[str, Any]:
        """Return the first message of a listen's stream: what of its filter is honoured.

        Every list is: it may change with the servers that are there. Of the resources those are that a server owns.
        """
        honoured: dict[str, Any] = {_member(primitive): True for primitive in sorted(self.lists)}
        if self.exposed:
            honoured[_RESOURCES] = sorted(self.exposed)
        params = {"notifications": honoured, "_meta": {META_SUBSCRIPTION: self.subscription}}
        return {"jsonrpc": "2.0", "method": ACKNOWLEDGED, "params": params}


async def wanted_by_listen(exchange: Exchange) -> WantedChanges:
    """Return what a ``subscriptions/listen`` asks for.

    Raises:
        Refusal: its filter does not have the specified shape.
    """
    params = exchange.message.params if exchange.message is not None else {}
    asked = params.get("notifications")
    kinds = asked if isinstance(asked, dict) else {}
    uris, merge = listen_filter(params, _RESOURCES), exchange.proxy.merge
    owned = _owned(exchange, merge, uris) if merge is not None else await _routed(exchange, uris)
    return WantedChanges(
        frozenset(primitive for primitive in Primitive if kinds.get(_member(primitive)) is True),
        exchange.request_id,
        {place: tuple(own for _, own in pairs) for place, pairs in owned.items()},
        frozenset(exposed for pairs in owned.values() for exposed, _ in pairs),
    )


def _owned(exchange: Exchange, merge: MergeRuntime, uris: Sequence[str]) -> dict[int, list[tuple[str, str]]]:
    """Return URIs with their servers' own, by the place of the server."""
    visible = visible_servers(exchange)
    found: dict[int, list[tuple[str, str]]] = {}
    for uri in uris:
        owned = merge.catalogue.owner_of(Primitive.RESOURCES, uri)
        if owned is not None and owned.server in visible:
            found.setdefault(owned.server, []).append((uri, owned.name))
    return found


async def _routed(exchange: Exchange, uris: Sequence[str]) -> dict[int, list[tuple[str, str]]]:
    """Return URIs, which servers know as they are, by the place of each server of their rule."""
    routing = exchange.proxy.routing
    found: dict[int, list[tuple[str, str]]] = {}
    for number, uri in enumerate(uris if routing is not None else ()):
        if number % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)  # rules that read the URI are evaluated for each
        if routing is not None:
            for place in decide_subscription(exchange, routing, uri).servers:
                found.setdefault(place, []).append((uri, uri))
    return found


def _member(primitive: Primitive) -> str:
    return f"{primitive.value}ListChanged"
