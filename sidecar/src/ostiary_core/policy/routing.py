"""Routing: which of its servers a proxy sends a message to.

The rules of a proxy are tried in their order, and the first one that matches decides. A condition is three-valued: a
rule that fails to evaluate ends the search without a route, since the next rule may lead to a server that must not get
this message. Methods without arguments pass over rules that read them: a list must not depend on what a call will hold.

What depends on the caller alone is decided once for each principal; only the rest is evaluated for each message.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ostiary_core.errors import ContractError
from ostiary_core.policy.expressions import Expression, ExpressionResult
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.principal import Principal
from ostiary_core.policy.principal_conditions import PrincipalConditions
from ostiary_core.policy.principal_memo import PrincipalMemo

#: The methods whose params have ``arguments``: rules that read ``args`` are tried for these only.
WITH_ARGUMENTS: Final = frozenset({"tools/call", "prompts/get"})
#: Callers whose decisions one proxy remembers.
_CALLERS: Final = 1024


class RuleConfig(Protocol):
    """A routing rule as a document holds it."""

    @property
    def name(self) -> str:
        """The name that explanations and telemetry show."""

    @property
    def when(self) -> str | None:
        """A CEL expression; None where the rule matches everything."""

    @property
    def servers(self) -> Sequence[str]:
        """Names of servers, in order of preference."""


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """One compiled rule.

    ``servers`` are positions among the servers of the proxy, in order of preference.
    """

    name: str
    when: Expression | None
    servers: tuple[int, ...]

    @property
    def reads_arguments(self) -> bool:
        """Whether its condition reads the arguments of a call."""
        return self.when is not None and self.when.reads("args")

    @property
    def needs_message(self) -> bool:
        """Whether its condition reads more than the caller."""
        return self.when is not None and self.when.needs_message


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """Where a message goes.

    ``servers`` are positions in order of preference, empty without a route. ``rule`` is the name of the rule that
    matched, or of the one that could not be evaluated (``failed``); it is empty where none matched.
    """

    servers: tuple[int, ...] = ()
    rule: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class _Residual:
    """What is left to decide for the messages of one caller.

    Rules in order, and the decision if none of them matches.
    """

    rules: tuple[RoutingRule, ...]
    otherwise: RouteDecision


@dataclass(frozen=True, slots=True)
class TracedRule:
    """One rule as it was tried.

    ``result`` is None where it was passed over, or an earlier rule had decided.
    """

    rule: RoutingRule
    result: ExpressionResult | None


_NO_MATCH: Final = RouteDecision()


class Routing:
    """The routing rules of one proxy."""

    __slots__ = ("_by_principal", "rules")

    def __init__(self, rules: Iterable[RoutingRule]) -> None:
        self.rules = tuple(rules)
        self._by_principal: PrincipalMemo[_Residual] = PrincipalMemo()

    @classmethod
    def build(cls, rules: Iterable[RuleConfig], servers: Sequence[str]) -> "Routing":
        """Compile the rules of a document; ``servers`` are the names of the proxy's servers.

        Raises:
            ExpressionError: a condition is not valid.
            ContractError: a rule names a server that the proxy does not have.
        """
        positions = {name: position for position, name in enumerate(servers)}
        return cls(
            RoutingRule(
                rule.name, _compiled(rule.when), tuple(_position(positions, rule, name) for name in rule.servers)
            )
            for rule in rules
        )

    def decide(self, principal: Principal, *, method: str, call: Callable[[], Call]) -> RouteDecision:
        """Return where a message goes.

        ``call`` is asked for only where a condition reads the message.
        """
        residual = self._residual(principal)
        if not residual.rules:
            return residual.otherwise
        message: Call | None = None
        for rule in residual.rules:
            if rule.when is None or (rule.reads_arguments and method not in WITH_ARGUMENTS):
                continue
            if message is None:
                message = call()
            result = rule.when.evaluate(message.message_context())
            if result is not ExpressionResult.FALSE:
                return _decision(rule, result)
        return residual.otherwise

    def reachable(self, principal: Principal) -> tuple[int, ...]:
        """Return the servers that a message of this caller could be sent to, by preference."""
        residual = self._residual(principal)
        found = [each for rule in residual.rules for each in rule.servers]
        return tuple(dict.fromkeys((*found, *residual.otherwise.servers)))

    def trace(self, call: Call) -> tuple[TracedRule, ...]:
        """Return every rule with its result for a message, for explanations."""
        known, traced, is_decided = PrincipalConditions(call.principal), [], False
        for rule in self.rules:
            passed_over = rule.reads_arguments and call.request.get("method") not in WITH_ARGUMENTS
            result = None if is_decided or passed_over else _evaluated(rule, known, call)
            is_decided = is_decided or result in (ExpressionResult.TRUE, ExpressionResult.ERROR)
            traced.append(TracedRule(rule, result))
        return tuple(traced)

    def _residual(self, principal: Principal) -> _Residual:
        return self._by_principal.of(principal, self._specialised)

    def _specialised(self, principal: Principal) -> _Residual:
        known, left = PrincipalConditions(principal), []
        for rule in self.rules:
            if rule.needs_message:
                left.append(rule)
                continue
            result = _of_principal(rule, known)
            if result is not ExpressionResult.FALSE:
                return _Residual(tuple(left), _decision(rule, result))
        return _Residual(tuple(left), _NO_MATCH)


def _compiled(when: str | None) -> Expression | None:
    return Expression.compile(when) if when is not None else None


def _position(positions: Mapping[str, int], rule: RuleConfig, name: str) -> int:
    if name not in positions:
        raise ContractError(f"routing rule {rule.name} names the server {name}, which the proxy does not have")
    return positions[name]


def _decision(rule: RoutingRule, result: ExpressionResult) -> RouteDecision:
    if result is ExpressionResult.ERROR:
        return RouteDecision(rule=rule.name, failed=True)
    return RouteDecision(rule.servers, rule.name)


def _of_principal(rule: RoutingRule, known: PrincipalConditions) -> ExpressionResult:
    return known.evaluate(rule.when) if rule.when is not None else ExpressionResult.TRUE


def _evaluated(rule: RoutingRule, known: PrincipalConditions, call: Call) -> ExpressionResult:
    if rule.when is None or not rule.needs_message:
        return _of_principal(rule, known)
    return rule.when.evaluate(call.message_context())
