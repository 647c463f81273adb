"""An explanation of a decision as lines for people."""

from collections.abc import Iterator
from typing import Final

from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.policy.decision_trace import TIERS, RuleTrace
from ostiary_core.policy.principal import PASSTHROUGH, Principal
from ostiary_operator.local import decision_changes
from ostiary_operator.local.console import printable
from ostiary_operator.local.explanation import Explanation, cause_of, why

_SHOWN: Final = 200


def lines(explanation: Explanation) -> Iterator[str]:
    """Yield the explanation as lines for people."""
    call = explanation.call
    yield f"{'ALLOW' if explanation.allowed else 'DENY'}: {explanation.cause}"
    yield ""
    yield f"proxy    {explanation.proxy.entry.identity}"
    yield f"caller   {caller_words(explanation)}"
    yield f"call     {call.verb} {call.primitive.removesuffix('s')} {printable(call.name, limit=_SHOWN)}"
    yield f"admitted {admission_words(explanation)}"
    if explanation.destination is not None:
        yield from explanation.destination.lines()
    shadow = explanation.trace.shadow
    if shadow is not None:
        yield f"shadow   would deny: {cause_of(shadow)}"
    yield from _readings(explanation)
    for tier in TIERS if explanation.is_authenticated else ():
        yield from _tier(explanation, tier)
    if explanation.is_authenticated and explanation.limits:
        yield from ("", "limits")
        yield from (f"    {limit}" for limit in explanation.limits)
    if explanation.is_authenticated and explanation.contents:
        yield from ("", "contents")
        yield from (f"    {printable(str(rule), limit=_SHOWN)}" for rule in explanation.contents)
    yield from decision_changes.lines(explanation)


def caller_words(explanation: Explanation) -> str:
    """Return who calls, as a clause."""
    principal = explanation.principal
    if explanation.caller.is_ignored:
        return "anonymous: the gateway does not authenticate callers here, so the described caller changes nothing"
    if not principal.authenticated:
        return "anonymous" if explanation.is_authenticated else "none: authentication refuses it before any rule"
    parts = [f"consumer {principal.consumer}{_keyless(explanation)}"] if principal.consumer else []
    parts += [f"{kind} {', '.join(sorted(names))}" for kind, names in _lists(principal) if names]
    parts += [f"claims {', '.join(sorted(principal.claims))}"] if principal.claims else []
    return printable("; ".join(parts) or "authenticated, without consumer, groups and scopes", limit=_SHOWN)


def _keyless(explanation: Explanation) -> str:
    """Return a remark on a consumer that needs an API key, where none is known here."""
    proxy, methods = explanation.proxy, explanation.proxy.authentication.values()
    only_keys = all(not (each.issuers or each.introspection or each.client_certificate) for each in methods)
    is_known = proxy.groups_of(explanation.principal.consumer) is not None
    return "" if is_known or not only_keys else " (no API key of it is known here)"


def _lists(principal: Principal) -> tuple[tuple[str, frozenset[str]], ...]:
    return ("groups", principal.groups), ("scopes", principal.scopes)


def admission_words(explanation: Explanation) -> str:
    """Return whether authentication admits the caller, and by which policies."""
    policies = ", ".join(sorted(explanation.proxy.authentication))
    if not policies:
        return "yes: no policy has spec.authentication in force, so every caller is anonymous"
    if explanation.caller.refusal is not None:
        return f"no: {explanation.caller.refusal} (authentication of {policies})"
    if explanation.principal is PASSTHROUGH:
        return f"yes: the server authenticates callers, and the gateway does not (passthrough of {policies})"
    what = "assumed: the credential is valid" if explanation.principal.authenticated else "yes: anonymous is admitted"
    return f"{what} (authentication of {policies})"


def _readings(explanation: Explanation) -> Iterator[str]:
    deciding = explanation.trace.deciding
    if deciding is None:
        return
    if deciding.name != explanation.call.name:
        is_own = deciding.denies_only and explanation.proxy.entry.server_selection == "Merge"
        kind = "the server knows it as" if is_own else "servers may read the URI as"
        yield f"reading  {kind} {printable(deciding.name, limit=_SHOWN)}"
    if explanation.proxy.entry.catalogue is not None:
        yield f"in list  {'yes' if deciding.in_catalogue else 'no'}: spec.catalogue of the MCPProxy"


def _tier(explanation: Explanation, tier: str) -> Iterator[str]:
    policies = [policy for policy in explanation.proxy.policies if policy.tier == tier]
    yield ""
    yield f"{tier} policies{': none' if not policies else ''}"
    for policy in sorted(policies, key=lambda each: each.identity):
        mode = " (Shadow: decides nothing)" if policy.mode == "Shadow" else ""
        yield f"  MCPPolicy {policy.identity}, generation {policy.generation}{mode}"
        rules = [rule for rule in explanation.rules if rule.policy == policy.identity]
        if not rules:
            yield f"    {without_rules_words(policy)}"
        yield from (_line(explanation, rule) for rule in rules)


def without_rules_words(policy: PolicyDocument) -> str:
    """Return why no rule of a policy is shown."""
    if policy.access is None:
        return "does not restrict access"
    return "no rules are judged" if policy.access.rules else "has no rules, so it allows nothing"


def _line(explanation: Explanation, rule: RuleTrace) -> str:
    mark = "=>" if explanation.decides(rule) else "  "
    return f" {mark} {rule.effect:<5}  {rule.rule}: {why(explanation, rule)}"
