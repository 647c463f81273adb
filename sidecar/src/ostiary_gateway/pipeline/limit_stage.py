"""The limit stage: count a request before its server is contacted.

It counts against the limits of all policies of the proxy.

A refused request consumes nothing, and one that never reached its server gives its units back. What a response costs is
known only afterwards. Nothing here waits unless the counters are shared by several replicas.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NoReturn

from ostiary_core.limits.charge import Charge, CountedRequest
from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_core.limits.limit_evaluator import LimitEvaluator, MatchedLimits
from ostiary_core.mcp.methods import METHODS, USE, AuthorizationKind, Primitive, Verb
from ostiary_core.policy.message_conditions import Call
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.pipeline.authorize import call_of
from ostiary_gateway.pipeline.exchange import AwaitedCost, Exchange, LimitUse
from ostiary_gateway.pipeline.limit_refusal import LimitError, reason_of
from ostiary_gateway.pipeline.listen_filter import listen_filter
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.message_members import completion_reference
from ostiary_gateway.pipeline.open_streams import OpenStreams
from ostiary_gateway.pipeline.quota_notices import QuotaNotices
from ostiary_gateway.pipeline.routing.route_decision import decide_route
from ostiary_gateway.policy_limits.flood_guard import MOST_REFUSALS, FloodGuard
from ostiary_gateway.policy_limits.limit_words import retry_after_ms
from ostiary_gateway.policy_limits.store import CounterStore, Exhaustion, Taken, Unit
from ostiary_gateway.telemetry.cost_units import COST_UNITS, CountedCall
from ostiary_gateway.telemetry.limit_decisions import LIMIT_DECISIONS

_TOOLS_CALL: Final = METHODS["tools/call"]
_TOOLS_LIST: Final = METHODS["tools/list"]
_NAME: Final = AuthorizationKind.NAME
_LIST: Final = AuthorizationKind.LIST
_NEVER_MS: Final = float("inf")
_TASKS: Final = frozenset({AuthorizationKind.TASK, AuthorizationKind.TASK_LIST})
_NOTHING: Final = MatchedLimits()
#: Requests that end something are never refused.
_UNCOUNTED: Final = frozenset({"resources/unsubscribe", "tasks/cancel"})


class LimitStage:
    """Takes what requests use of limits, and gives back what they did not use.

    ``store`` holds the counters; ``clock`` returns epoch seconds. ``streams`` are told of quotas that are exhausted.
    """

    def __init__(self, store: CounterStore, streams: OpenStreams, *, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self.floods = FloodGuard()
        self.quotas = QuotaNotices(streams, lambda: self.store, clock=clock)
        self._clock = clock

    def take(self, exchange: Exchange, limits: LimitEvaluator) -> Awaitable[None] | None:
        """Count a request; return None, or what to await where the counters are elsewhere.

        Raises:
            LimitError: a limit refuses the request.
        """
        matched = _matched(exchange, limits)
        charges = matched.charges
        if not charges and not matched.sizes and not limits.shows_quotas:
            return None
        now = self._clock()
        use = LimitUse(now, takes_slots=matched.takes_slots)
        if limits.shows_quotas:
            self._show_quotas(exchange, limits, use)
        if limits.cost_names is not None:
            use.counted = CountedCall(exchange.proxy.identity, _tool(exchange, limits.cost_names), charges)
        if matched.sizes:
            self._check_request_size(exchange, matched.sizes, use)
            use.reads_response = True
        if matched.weighed and matched.reads_result and exchange.message is not None:
            use.awaited = AwaitedCost(limits, matched, call_of(exchange, exchange.message))
            use.reads_response = True
        taken = self.store.take(charges, now) if charges else ()
        if isinstance(taken, tuple):
            self._settle(exchange, charges, use, taken)
            return None
        return self._settle_later(exchange, charges, use, taken)

    async def _settle_later(
        self, exchange: Exchange, charges: Sequence[Charge], use: LimitUse, taking: Awaitable[Taken]
    ) -> None:
        self._settle(exchange, charges, use, await taking)

    def _settle(self, exchange: Exchange, charges: Sequence[Charge], use: LimitUse, refused: Taken) -> None:
        if refused:
            charges = self._without_refused(exchange, charges, use, refused)
        use.charges = charges
        exchange.limit_use = use
        tallies = LIMIT_DECISIONS.tallies
        for charge in charges:
            (tallies.get(charge.limit) or LIMIT_DECISIONS.tally(charge.limit)).allowed += 1
        if use.tool:
            self.quotas.look(charges, use.tool)

    def _show_quotas(self, exchange: Exchange, limits: LimitEvaluator, use: LimitUse) -> None:
        """Have a list of tools show what its caller has exhausted."""
        if exchange.message is not None and exchange.message.method is _TOOLS_LIST:
            use.find_exhausted = partial(self.quotas.find, exchange, limits)
        elif exchange.message is not None:
            use.tool = exchange.message.name

    def _without_refused(
        self, exchange: Exchange, charges: Sequence[Charge], use: LimitUse, refused: Taken
    ) -> Sequence[Charge]:
        """Return the charges that were taken, where only limits in Shadow mode refuse the others."""
        enforced = [found for found in refused if not found.charge.limit.shadow]
        if enforced:
            if use.tool:
                self.quotas.look(charges, use.tool)
            self._refuse(exchange, tightest(enforced, use.taken_at), use.taken_at)
        use.shadow = tightest(refused, use.taken_at)
        for found in refused:
            note_refused(exchange, found)
        skipped = {id(found.charge) for found in refused}
        return [charge for charge in charges if id(charge) not in skipped]

    def _refuse(self, exchange: Exchange, found: Exhaustion, now: float) -> NoReturn:
        note_refused(exchange, found)
        self.floods.note(exchange.request.connection, _caller(exchange), now, found.retry_at)
        raise LimitError(found, exchange.message, now)

    def _check_request_size(self, exchange: Exchange, limits: Sequence[CompiledLimit], use: LimitUse) -> None:
        """Refuse a body that is larger than a limit allows.

        Note which limits bound the response.
        """
        size = exchange.request_bytes
        for limit in limits:
            most = limit.request_bytes
            if most is not None and size > most:
                found = Exhaustion(Charge(limit, "", 0), Unit.REQUEST_BYTES, most, most, None, None)
                if not limit.shadow:
                    self._refuse(exchange, found, use.taken_at)
                use.shadow = found
                note_refused(exchange, found)
        use.sizes = [limit for limit in limits if limit.response_bytes is not None]

    def check_flood(self, exchange: Exchange) -> None:
        """Refuse a request on a connection that limits have refused again and again.

        Raises:
            Refusal: 429 with Retry-After.
        """
        self.floods.check(exchange.request.connection, _caller(exchange), self._clock())

    def finish(self, use: LimitUse) -> None:
        """Give back the slots of a request that is over, and its units if its server never got it."""
        charges, use.charges = use.charges, ()
        if not use.is_written:
            self.store.give_back(charges, use.taken_at, self._clock())
            if use.tool:
                self.quotas.look(charges, use.tool)
        else:
            if use.counted is not None:
                COST_UNITS.add(use.counted, use.counted.charges)
            if use.awaited is not None and use.result is not None:
                self._charge_result(use, use.awaited, use.result)
        if use.takes_slots:
            self.store.release(charges)

    def _charge_result(self, use: LimitUse, awaited: AwaitedCost, result: Mapping[str, Any]) -> None:
        """Charge what the result of a call costs in addition."""
        more = awaited.limits.result_charges(awaited.matched, awaited.call, result)
        if more:
            self.store.add(more, self._clock())
            if use.counted is not None:
                COST_UNITS.add(use.counted, more)
            if use.tool:
                self.quotas.look(more, use.tool)

    def on_swap(self, snapshot: Snapshot, changed: frozenset[str]) -> None:
        """Take the settings of a new config, and forget limits that no longer exist."""
        self.floods.most_refusals = snapshot.settings.bounds.limit_refusals or MOST_REFUSALS
        self.quotas.on_swap(snapshot, changed)
        proxies = snapshot.proxies.values()
        found = [(proxy, limit) for proxy in proxies if proxy.limits is not None for limit in proxy.limits.limits]
        LIMIT_DECISIONS.keep(limit for _, limit in found)
        COST_UNITS.keep({(proxy.identity, limit.policy, limit.name) for proxy, limit in found})


def tightest(found: Sequence[Exhaustion], now: float) -> Exhaustion:
    """Return the exhaustion that lasts longest; of equal ones the first by policy and name."""

    def order(each: Exhaustion) -> tuple[float, str, str]:
        wait = retry_after_ms(each, now)
        return (-_NEVER_MS if wait is None else -wait, each.charge.limit.policy, each.charge.limit.name)

    return min(found, key=order)


def _tool(exchange: Exchange, cost_names: frozenset[str]) -> str:
    """Return the tool that a request calls, where the name is known: callers invent names."""
    message, proxy = exchange.message, exchange.proxy
    if message is None or message.method is not _TOOLS_CALL:
        return ""
    name = message.name
    is_known = name in proxy.known.tools or name in proxy.spelled_names or name in cost_names
    return name if is_known else ""


def _caller(exchange: Exchange) -> tuple[str, str]:
    return exchange.principal.id, exchange.reservation.client_address


def note_refused(exchange: Exchange, found: Exhaustion) -> None:
    """Count and log a request that a limit refuses, or would refuse in Shadow mode."""
    message, principal = exchange.message, exchange.principal
    method = message.method_name if message is not None else ""
    LIMIT_DECISIONS.note(
        found.charge.limit, method, exchange.shown_name, principal.consumer or principal.id, reason_of(found)
    )


def _matched(exchange: Exchange, limits: LimitEvaluator) -> MatchedLimits:
    """Return the limits that count a request, as they were found for one like it."""
    usual = exchange.usual
    if usual is not None and usual.limits is not None:
        return usual.limits
    found = _found(exchange, limits)
    if usual is not None and not found.weighed:
        usual.limits = found
    return found


def _found(exchange: Exchange, limits: LimitEvaluator) -> MatchedLimits:
    """Find the limits of a request; a notification and what only ends something have none."""
    message = exchange.message
    method = message.method if message is not None else None
    if message is None or method is None or exchange.request_id is None or method.name in _UNCOUNTED:
        return _NOTHING
    kind = method.authorization
    if kind is _NAME or kind is _LIST:
        servers = _routed(exchange, limits) if exchange.proxy.routing is not None else None
        # Then nothing else of the request matters, unless an expression reads it.
        if servers is None:
            primitive, name = method.primitive, message.name
            is_offered = limits.counts_names and _is_offered(exchange, primitive, name)
            found = limits.remembered(exchange.principal, primitive, method.verb, name, is_offered=is_offered)
            if found is not None:
                return found
        call = call_of(exchange, message) if limits.needs_call else None
        request = _counted(exchange, limits, method.primitive, method.verb, message.name, call)
        return limits.matched(request if servers is None else request._replace(servers=servers))
    if kind is AuthorizationKind.COMPLETION:
        primitive, name = completion_reference(message)
        return limits.matched(_counted(exchange, limits, primitive, USE[primitive], name))
    if kind is AuthorizationKind.LISTEN:
        return _listen_limits(exchange, message, limits)
    return limits.matched(_counted(exchange, limits, None, None, "")) if kind in _TASKS else _NOTHING


def _routed(exchange: Exchange, limits: LimitEvaluator) -> tuple[str, ...] | None:
    """Return the server that a routing rule chooses for a request.

    None where its name says which. It is asked only where servers are counted apart, before the request is sent.
    """
    routing = exchange.proxy.routing
    if routing is None or not limits.counts_servers:
        return None
    route = exchange.route = decide_route(exchange, routing)
    return tuple(limits.servers.authorities[place] for place in route.servers[:1]) or None


def _counted(
    exchange: Exchange,
    limits: LimitEvaluator,
    primitive: Primitive | None,
    verb: Verb | None,
    name: str,
    call: Call | None = None,
) -> CountedRequest:
    is_offered = limits.counts_names and _is_offered(exchange, primitive, name)
    return CountedRequest(exchange.principal, primitive, verb, name, is_offered, exchange.snapshot.identity, call)


def _is_offered(exchange: Exchange, primitive: Primitive | None, name: str) -> bool:
    """Return whether a server of the proxy is known to offer a name."""
    return primitive is not None and name in exchange.proxy.known.of(primitive)


def _listen_limits(exchange: Exchange, message: Message, limits: LimitEvaluator) -> MatchedLimits:
    """Return the limits that count a listen.

    Each key counts it once, however many of its resources count for the key.
    """
    charges: dict[str, Charge] = {}
    sizes: dict[CompiledLimit, None] = {}
    for uri in listen_filter(message.params, "resourceSubscriptions"):
        found = limits.matched(_counted(exchange, limits, Primitive.RESOURCES, Verb.SUBSCRIBE, uri))
        charges.update((charge.key, charge) for charge in found.charges)
        sizes.update(dict.fromkeys(found.sizes))
    takes_slots = any(charge.limit.concurrency is not None for charge in charges.values())
    return MatchedLimits(tuple(charges.values()), (), tuple(sizes), takes_slots)
