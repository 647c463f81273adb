"""Explanations of decisions: what decided, and why each other rule did not."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from ostiary_core.contract.access import AccessRuleConfig
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.decision import Decision
from ostiary_core.policy.decision_trace import DecisionTrace, RuleOutcome, RuleTrace, trace
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.principal import Principal
from ostiary_operator.compile.policy_test_runner import (
    DescribedMessage,
    describe,
    hidden_headers,
    message,
    message_of,
)
from ostiary_operator.local.console import printable
from ostiary_operator.local.content_explanation import ApplyingRule, applying_rules
from ostiary_operator.local.described_caller import DescribedCaller
from ostiary_operator.local.destination import Destination, destination_of, list_method
from ostiary_operator.local.governed_proxy import GovernedProxy
from ostiary_operator.local.limit_explanation import CountingLimit, counting_limits

_SHOWN: Final = 200


class ExplainedCall(NamedTuple):
    """A call to explain: what is used, how, and the rest of its message.

    Absent host and path are those of the MCPProxy.
    """

    primitive: Primitive
    verb: Verb
    name: str
    message: DescribedMessage = DescribedMessage()


class Explanation(NamedTuple):
    """The decision on a call by one caller at one proxy."""

    proxy: GovernedProxy
    caller: DescribedCaller
    call: ExplainedCall
    trace: DecisionTrace
    limits: tuple[CountingLimit, ...] = ()
    destination: Destination | None = None
    """Where the call goes, None where the proxy has one server."""
    contents: tuple[ApplyingRule, ...] = ()
    """The rules about contents that its messages have to pass."""

    @property
    def principal(self) -> Principal:
        """The caller that reaches the rules."""
        return self.caller.principal

    @property
    def is_authenticated(self) -> bool:
        """Whether authentication lets the caller reach the rules."""
        return self.caller.refusal is None

    @property
    def allowed(self) -> bool:
        """Whether the call passes authentication and the rules, and some server gets it."""
        return self.is_authenticated and self.trace.decision.allowed and not self.is_lost

    @property
    def is_lost(self) -> bool:
        """Whether no routing rule leads to a server for it."""
        return self.destination is not None and not self.destination.servers

    @property
    def cause(self) -> str:
        """What decided, as a clause."""
        if not self.is_authenticated:
            return f"authentication refuses the caller (401): {self.caller.refusal}"
        if self.destination is not None and self.is_lost and self.trace.decision.allowed:
            return self.destination.cause
        return cause_of(self.trace.decision)

    @property
    def reason(self) -> str:
        """What decided, as one word."""
        if not self.is_authenticated:
            return "Unauthenticated"
        return "NoRoute" if self.is_lost and self.trace.decision.allowed else self.trace.decision.reason

    def as_object(self) -> dict[str, Any]:
        """The explanation as a JSON object. Claims and arguments are not in it."""
        decision, principal = self.trace.decision, self.principal
        return {
            "proxy": self.proxy.entry.identity,
            "primitive": self.call.primitive,
            "verb": self.call.verb,
            "name": self.call.name,
            "caller": {
                "authenticated": principal.authenticated,
                "consumer": principal.consumer or None,
                "groups": sorted(principal.groups),
                "scopes": sorted(principal.scopes),
            },
            "decision": "Allow" if self.allowed else "Deny",
            "reason": self.reason,
            "policy": decision.policy or None,
            "rule": decision.rule or None,
            "cause": self.cause,
            "shadow": cause_of(self.trace.shadow) if self.trace.shadow is not None else None,
            "rules": [_rule_object(self, rule) for rule in self.rules],
            "limits": [limit.as_object() for limit in self.limits],
            **({"contents": [rule.as_object() for rule in self.contents]} if self.contents else {}),
            **({"destination": self.destination.as_object()} if self.destination is not None else {}),
        }

    @property
    def rules(self) -> tuple[RuleTrace, ...]:
        """The rules for the reading that decides; none where authentication refuses the caller."""
        return self.trace.deciding.rules if self.is_authenticated and self.trace.deciding is not None else ()

    def decides(self, rule: RuleTrace) -> bool:
        """Whether the decision names this rule."""
        decision = self.trace.decision
        return self.is_authenticated and (rule.policy, rule.rule) == (decision.policy, decision.rule)


def explain(proxy: GovernedProxy, caller: DescribedCaller, call: ExplainedCall) -> Explanation:
    """Explain the decision on a call."""
    principal, (primitive, verb, name, _) = caller.principal, call
    sent = sent_message(proxy, principal, call)
    asked = sent if sent is not None else _list_message(proxy, principal, call)
    destination = destination_of(proxy.entry, primitive, name, asked)
    found = trace(proxy.visibility, principal, primitive, verb, name, sent)
    server = next(iter(destination.servers if destination is not None else ()), proxy.entry.servers[0])
    limits = counting_limits(proxy, server, principal, primitive, verb, name, sent)
    servers = destination.servers if destination is not None else (server,)
    contents = applying_rules(proxy, principal, primitive, name, frozenset(each.name for each in servers))
    return Explanation(proxy, caller, call, found, limits, destination, contents)


def sent_message(proxy: GovernedProxy, principal: Principal, call: ExplainedCall) -> Call | None:
    """Return the message of a call as conditions read it; None for a list."""
    hidden = hidden_headers(proxy.authentication.values())
    described = _completed(call.message, proxy)
    return message(principal, call.primitive, call.verb, call.name, described, hidden=hidden)


def _list_message(proxy: GovernedProxy, principal: Principal, call: ExplainedCall) -> Call:
    hidden = hidden_headers(proxy.authentication.values())
    return message_of(principal, list_method(call.primitive), "", _completed(call.message, proxy), hidden=hidden)


def _completed(described: DescribedMessage, proxy: GovernedProxy) -> DescribedMessage:
    """Return a message with the host and path of the proxy where it has none."""
    host = described.host if described.host is not None else next(iter(proxy.entry.hostnames), None)
    return described._replace(host=host, path=described.path if described.path is not None else proxy.entry.endpoint)


def cause_of(decision: Decision) -> str:
    """Return what led to a decision, with the policy."""
    policy = f" (MCPPolicy {decision.policy})" if decision.policy else ""
    return f"{describe(decision)}{policy}"


def _rule_object(explanation: Explanation, rule: RuleTrace) -> dict[str, Any]:
    return {
        "policy": rule.policy,
        "tier": rule.tier,
        "rule": rule.rule,
        "effect": rule.effect,
        "shadow": rule.is_shadow,
        "outcome": rule.outcome,
        "detail": why(explanation, rule),
        "decides": explanation.decides(rule),
    }


def why(explanation: Explanation, rule: RuleTrace) -> str:
    """Return whether a rule matches, and if not, why."""
    config, call = _config(explanation, rule), explanation.call
    # The constraints of a Deny rule are no demand to the caller: they say which calls it denies.
    only = "denies only calls that meet this: " if rule.effect == "Deny" and rule.requirements else ""
    return only + _WHY[rule.outcome].format(
        verb=call.verb,
        primitive=call.primitive,
        names=_shortened(_names(config, call.primitive)),
        when=_shortened([config.when or ""]),
        requirements=_shortened(rule.requirements),
        scopes=_shortened(sorted(rule.missing_scopes)),
        effect="applies" if rule.effect == "Deny" else "does not apply",
    )


_WHY: Final = {
    RuleOutcome.MATCHES: "matches",
    RuleOutcome.POSSIBLE: "depends on the message, and a list has none",
    RuleOutcome.OTHER_USE: "not for {verb} of {primitive}",
    RuleOutcome.NAME: "the name is not among {names}",
    RuleOutcome.SUBJECTS: "the caller is not among spec.subjects",
    RuleOutcome.CONDITION: "the condition is false: {when}",
    RuleOutcome.ARGUMENTS: "{requirements}",
    RuleOutcome.SCOPES: "the caller lacks the scopes {scopes}",
    RuleOutcome.ERROR: "an expression or a constraint cannot be evaluated, so the rule {effect}",
}


def _config(explanation: Explanation, rule: RuleTrace) -> AccessRuleConfig:
    policy = next(each for each in explanation.proxy.policies if each.identity == rule.policy)
    return next(each for each in policy.access.rules if each.name == rule.rule) if policy.access else _NO_RULE


_NO_RULE: Final = AccessRuleConfig(name="", effect="Deny")


def _names(rule: AccessRuleConfig, primitive: Primitive) -> list[str]:
    selection = rule.selection(primitive)
    return [*(selection.names or ()), *(selection.patterns or ())] if selection is not None else []


def _shortened(parts: Iterable[str]) -> str:
    return printable(", ".join(parts), limit=_SHOWN)
