"""Finds the limits that count a request, and what it takes of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from weakref import ref

from ostiary_core.limits.charge import Charge, CountedRequest, keys_of
from ostiary_core.limits.compiled_limit import CompiledLimit, Dimension
from ostiary_core.limits.cost_weight import CostWeight, units_after, units_before
from ostiary_core.limits.limited_servers import LimitedServers
from ostiary_core.limits.request_matcher import readings_of
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_core.policy.cost_limits import length_of, name_limit
from ostiary_core.policy.decision_cache import DECISIONS, Memo
from ostiary_core.policy.expressions import ExpressionResult
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.principal import Principal
from ostiary_core.policy.principal_conditions import PrincipalConditions
from ostiary_core.policy.subjects import evaluate_subjects

#: Callers that one proxy remembers, and different results for one of them.
_CALLERS: Final = 1024
_RESULTS: Final = 512


class WeighedCharge(NamedTuple):
    """A charge whose units depend on the arguments or the result of the call."""

    charge: Charge
    weights: tuple[CostWeight, ...]
    reads_result: bool

    def before(self, call: Call | None) -> Charge:
        """Return the charge for a call whose result is not known."""
        limit = self.charge.limit
        return self.charge._replace(units=units_before(self.weights, call, policy=limit.policy, limit=limit.name))


class MatchedLimits(NamedTuple):
    """The limits that count a request.

    ``charges`` are what it takes before its result is known. ``weighed`` are those of them that an expression weighs.
    ``sizes`` are the limits on the size of the request or of its response. ``takes_slots`` says that one of the charges
    is of a limit on requests in flight.
    """

    charges: tuple[Charge, ...] = ()
    weighed: tuple[WeighedCharge, ...] = ()
    sizes: tuple[CompiledLimit, ...] = ()
    takes_slots: bool = False

    @property
    def reads_result(self) -> bool:
        """Whether the result decides what the request costs."""
        return any(each.reads_result for each in self.weighed)

    def smallest_request(self) -> CompiledLimit | None:
        """Return the enforced limit with the fewest bytes of a request; None where there is none."""
        return _smallest(self.sizes, lambda limit: limit.request_bytes)

    def smallest_response(self) -> CompiledLimit | None:
        """Return the enforced limit with the fewest bytes of a response; None where there is none."""
        return _smallest(self.sizes, lambda limit: limit.response_bytes)


def _smallest(limits: Iterable[CompiledLimit], size: Any) -> CompiledLimit | None:
    found = [limit for limit in limits if size(limit) is not None and not limit.shadow]
    return min(found, key=lambda limit: (size(limit), limit.policy, limit.name), default=None)


class _CallerLimits(NamedTuple):
    """The limits that count one caller, and what was found for its requests."""

    principal: ref[Principal]
    limits: tuple[CompiledLimit, ...]
    found: Memo[tuple[Primitive | None, Verb | None, str, bool, tuple[str, ...] | None], MatchedLimits]
    #: Most names have equal results, which are kept once.
    results: dict[MatchedLimits, MatchedLimits]


@dataclass(slots=True, eq=False)
class LimitEvaluator:
    """Finds the limits of one proxy that count a request.

    Built once for a config entry and never changed; what it remembers is its only state. ``proxy`` is
    ``namespace/name``, ``servers`` are its upstream servers.
    """

    policies: Sequence[CompiledPolicy]
    proxy: str
    servers: LimitedServers
    limits: tuple[CompiledLimit, ...] = field(init=False)
    #: Whether a limit counts names apart, so that :attr:`CountedRequest.is_offered` matters.
    counts_names: bool = field(init=False)
    #: Whether a limit counts servers apart, so that :attr:`CountedRequest.servers` matters.
    counts_servers: bool = field(init=False)
    #: Whether a limit has an expression that reads the message, so that :attr:`CountedRequest.call` matters.
    needs_call: bool = field(init=False)
    #: The names of tools that limits on cost write out; None where no limit counts cost.
    cost_names: frozenset[str] | None = field(init=False)
    #: Whether lists of tools depend on what their caller has used up.
    shows_quotas: bool = field(init=False)
    _size: int = field(init=False)
    _callers: dict[int, _CallerLimits] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.policies = sorted((each for each in self.policies if each.limits), key=lambda policy: policy.identity)
        self.limits = _by_name(limit for policy in self.policies for limit in policy.limits)
        self.counts_names = any(Dimension.TOOL in limit.per for limit in self.limits)
        self.counts_servers = any(Dimension.SERVER in limit.per for limit in self.limits)
        weights = [weight for limit in self.limits for weight in limit.weights]
        self.needs_call = any(each.arguments is not None or each.result is not None for each in weights)
        self.cost_names = _cost_names([limit for limit in self.limits if limit.counts_cost])
        self.shows_quotas = any(limit.is_shown_in_lists for limit in self.limits)
        self._size = sum(limit.size for limit in self.limits)

    @classmethod
    def build(
        cls, policies: Iterable[CompiledPolicy], *, proxy: str, servers: LimitedServers
    ) -> "LimitEvaluator | None":
        """Return the evaluator of a proxy; None where no policy of it has limits."""
        found = [policy for policy in policies if policy.limits]
        return cls(found, proxy, servers) if found else None

    def remembered(
        self,
        principal: Principal,
        primitive: Primitive | None,
        verb: Verb | None,
        name: str,
        *,
        is_offered: bool = False,
    ) -> MatchedLimits | None:
        """Return what :meth:`matched` has found before; None where it has to be asked.

        It is for requests of which no server was chosen, and needs no object for one.
        """
        caller = self._callers.get(id(principal))
        if caller is None or caller.principal() is not principal:
            return None
        found = caller.found.get((primitive, verb, name, is_offered, None))
        return None if found is None or found.weighed else found

    def matched(self, request: CountedRequest) -> MatchedLimits:
        """Return the limits that count a request, with what it takes of each.

        It is the same for equal requests, and remembered, unless an expression reads the message.
        """
        caller = self._callers.get(id(request.principal))
        if caller is None or caller.principal() is not request.principal:
            caller = self._remember(request.principal)
        key = (request.primitive, request.verb, request.name, request.is_offered, request.servers)
        found = caller.found.get(key)
        if found is None:
            if len(caller.results) >= _RESULTS:
                caller.results.clear()
            found = self._match(caller.limits, request)
            found = caller.results.setdefault(found, found)
            DECISIONS.keep(caller.found, key, found, name=request.name)
        return found if not found.weighed or request.call is None else _weighed(found, request.call)

    def result_charges(self, matched: MatchedLimits, call: Call, result: Mapping[str, Any]) -> tuple[Charge, ...]:
        """Return what a call costs in addition, now that its result is known.

        ``matched`` is what :meth:`matched` returned for the call.
        """
        taken = {charge.key: charge.units for charge in matched.charges}
        found = []
        for each in matched.weighed:
            limit, key, _ = each.charge
            if each.reads_result:
                units = units_after(each.weights, call, result, policy=limit.policy, limit=limit.name)
                found += [Charge(limit, key, units - taken[key])] if units > taken[key] else []
        return tuple(found)

    def _remember(self, principal: Principal) -> _CallerLimits:
        if len(self._callers) >= _CALLERS:
            del self._callers[next(iter(self._callers))]
        known = PrincipalConditions(principal)
        limits = _by_name(limit for policy in self.policies if _counts(policy, known) for limit in policy.limits)
        found = self._callers[id(principal)] = _CallerLimits(ref(principal), limits, Memo(), {})
        return found

    def _match(self, limits: Sequence[CompiledLimit], request: CountedRequest) -> MatchedLimits:
        primitive, verb, names = request.primitive, request.verb, self._readings(request)
        servers = request.servers or self.servers.reached(primitive, request.name)
        charges: list[Charge] = []
        weighed: list[WeighedCharge] = []
        matching = [limit for limit in limits if limit.matches(primitive, verb, names)]
        for limit in (each for each in matching if each.has_counter):
            weights = tuple(weight for weight in limit.weights if weight.matches(primitive, verb, names))
            reads_result = any(weight.result is not None for weight in weights)
            units = units_before(weights, None, policy="", limit="") if limit.counts_cost and not _reads(weights) else 1
            keys = keys_of(limit, request, proxy=self.proxy, servers=servers)
            found = [Charge(limit, key, units) for key in keys]
            charges += found
            if _reads(weights):
                weighed += [WeighedCharge(charge, weights, reads_result) for charge in found]
        sizes = tuple(each for each in matching if each.request_bytes is not None or each.response_bytes is not None)
        takes_slots = any(charge.limit.concurrency is not None for charge in charges)
        return MatchedLimits(tuple(charges), tuple(weighed), sizes, takes_slots)

    def _readings(self, request: CountedRequest) -> tuple[str, ...] | None:
        """Return all spellings of a name; None where comparing them would take too long."""
        spellings = self.servers.spellings(request.primitive, request.name)
        names = tuple(reading for each in spellings for reading in readings_of(request.primitive, each))
        return names if sum(map(length_of, names)) <= name_limit(self._size) else None


def _by_name(limits: Iterable[CompiledLimit]) -> tuple[CompiledLimit, ...]:
    """Return limits in the order in which the first of several equally tight ones answers."""
    return tuple(sorted(limits, key=lambda limit: (limit.policy, limit.name)))


def _cost_names(limits: Sequence[CompiledLimit]) -> frozenset[str] | None:
    """Return the names of tools that limits on cost, or their weights, write out."""
    matchers = [limit.matcher for limit in limits] + [weight.matcher for limit in limits for weight in limit.weights]
    return frozenset(name for matcher in matchers for name in matcher.exact_names) if limits else None


def _counts(policy: CompiledPolicy, known: PrincipalConditions) -> bool:
    """Return whether a policy counts a caller: where its subjects cannot be judged, it does."""
    return policy.subjects is None or evaluate_subjects(policy.subjects, known) is not ExpressionResult.FALSE


def _reads(weights: Iterable[CostWeight]) -> bool:
    return any(weight.arguments is not None or weight.result is not None for weight in weights)


def _weighed(matched: MatchedLimits, call: Call) -> MatchedLimits:
    """Return limits with the units of one call."""
    units = {each.charge.key: each.before(call) for each in matched.weighed}
    return matched._replace(charges=tuple(units.get(charge.key, charge) for charge in matched.charges))
