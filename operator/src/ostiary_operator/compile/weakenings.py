"""Finds what an accepted change weakens, by the configs in force before and after it.

The comparison is of what gateways run, so a change that is not accepted, a restart of the operator and a new leader
report nothing. Rules are compared as written (:mod:`.rule_coverage`): what is reported may in fact weaken nothing,
because other rules deny the same, or because a regular expression was written in another way.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_operator.compile.audit import gateway_audit_lowered
from ostiary_operator.compile.authentication_weakenings import replaced
from ostiary_operator.compile.content_weakenings import pinning_lowered
from ostiary_operator.compile.policy_weakenings import of_policy, restricts
from ostiary_operator.compile.server_weakenings import of_servers
from ostiary_operator.compile.weakening import Weakening, listed, weakening

#: Lists of settings that permit more with each item.
_LOOSER_WITH_MORE: Final = ("allowedOrigins", "trustedProxies", "grants")
_BLOCKED: Final = ("principals", "subjects", "proxies", "upstreams")


def weakenings(
    old: GatewayConfig, new: GatewayConfig, *, policies: Collection[tuple[str, str]]
) -> tuple[Weakening, ...]:
    """Return what the change from one config to the next weakens, sorted.

    ``policies`` are namespace and name of all policies that exist, so that deleted ones can be named so.
    """
    before, after = _by_identity(old), _by_identity(new)
    found = [*_of_gateway(old, new)]
    for identity, entry in new.entries.items():
        was = old.entries.get(identity)
        if was is not None and was is not entry:
            found += _of_entry(was, entry)
            found += _of_governance(was, entry, old, new, policies)
    for identity, policy in after.items():
        earlier = before.get(identity)
        if earlier is not None and earlier is not policy and earlier.mode is None:
            found += of_policy(earlier, policy)
    return tuple(sorted(set(found), key=lambda it: (it.kind, it.namespace, it.name, it.reason, it.field, it.before)))


def _by_identity(config: GatewayConfig) -> dict[str, PolicyDocument]:
    return {policy.identity: policy for policy in config.policies.values()}


# Gateways


def _of_gateway(old: GatewayConfig, new: GatewayConfig) -> Iterator[Weakening]:
    def loosened(reason: str, field: str, before: str, after: str) -> Weakening:
        return Weakening("", new.gateway.namespace, new.gateway.name, "", reason, field, before, after)

    was, now = _settings(old), _settings(new)
    for field, default, safe in (("withoutPolicy", "Allow", "Deny"), ("tenancy", "Single", "Multi")):
        values = was.get(field, default), now.get(field, default)
        if values[0] == safe != values[1]:
            yield loosened("SettingLoosened", field, *values)
    for field in _LOOSER_WITH_MORE:
        values = _items(was, field), _items(now, field)
        if added := values[1] - values[0]:
            yield loosened("SettingLoosened", field, listed(values[0]), f"adds {listed(added)}")
    for change in gateway_audit_lowered(old.settings.audit, new.settings.audit):
        yield loosened("AuditLowered", *change)
    for name in _BLOCKED:
        before, after = _blocked(old, name), _blocked(new, name)
        if gone := before - after:
            yield loosened("BlockRemoved", f"blocked.{name}", listed(gone), listed(before & after))


def _settings(config: GatewayConfig) -> Mapping[str, Any]:
    found = json.loads(config.settings.source or "{}")
    return found if isinstance(found, Mapping) else {}


def _items(settings: Mapping[str, Any], field: str) -> frozenset[str]:
    return frozenset(each if isinstance(each, str) else json.dumps(each) for each in settings.get(field, ()))


def _blocked(config: GatewayConfig, name: str) -> frozenset[str]:
    items = getattr(config.settings.blocked, name) if config.settings.blocked is not None else None
    return frozenset(each if isinstance(each, str) else f"{each.issuer} {each.subject}" for each in items or ())


# Proxies


def _of_entry(old: EntryDocument, new: EntryDocument) -> Iterator[Weakening]:
    yield from of_servers(old, new)
    for primitive in ("tools", "resources", "prompts"):
        was_shown, is_shown = (_exposed(entry, primitive) for entry in (old, new))
        if was_shown != is_shown and not _narrows(was_shown, is_shown):
            yield weakening(
                new, "CatalogueWidened", f"spec.catalogue.{primitive}", *map(_catalogue, (was_shown, is_shown))
            )
    for change in pinning_lowered(old, new):
        yield weakening(new, *change)


_Exposed = tuple[frozenset[str] | None, frozenset[str]]


def _exposed(entry: EntryDocument, primitive: str) -> _Exposed:
    """Return what the catalogue includes, None for everything, and what it excludes."""
    selection = getattr(entry.catalogue, primitive) if entry.catalogue is not None else None
    if selection is None:
        return None, frozenset()
    include = frozenset(selection.include) if selection.include is not None else None
    return include, frozenset(selection.exclude or ())


def _narrows(before: _Exposed, after: _Exposed) -> bool:
    includes_less = before[0] is None or (after[0] is not None and after[0] <= before[0])
    return includes_less and after[1] >= before[1]


def _catalogue(exposed: _Exposed) -> str:
    include, exclude = exposed
    return f"{'everything' if include is None else listed(include)} except {listed(exclude)}"


def _of_governance(
    was: EntryDocument,
    now: EntryDocument,
    old: GatewayConfig,
    new: GatewayConfig,
    existing: Collection[tuple[str, str]],
) -> Iterator[Weakening]:
    """Yield policies that do not govern a proxy any more, and new ones that allow more."""
    before, after = _enforced(was, old), _enforced(now, new)
    still = {new.policies[each].identity for each in now.policies if each in new.policies}
    for identity in sorted(before.keys() - still):
        yield from _gone(before[identity], now, existing)
    for identity in sorted(after.keys() - before.keys()):
        for what in _allows_more(after[identity], before.values()):
            yield weakening(now, "PolicyAttached", f"MCPPolicy {identity}", "does not govern it", what)
    if (methods := replaced(before.values(), after.values())) is not None:
        yield weakening(now, "AuthenticationWidened", "spec.authentication of platform policies", *methods)


def _enforced(entry: EntryDocument, config: GatewayConfig) -> dict[str, PolicyDocument]:
    """Return the policies that decide at a proxy, by identity."""
    found = (config.policies[each] for each in entry.policies if each in config.policies)
    return {policy.identity: policy for policy in found if policy.mode is None}


def _gone(policy: PolicyDocument, proxy: EntryDocument, existing: Collection[tuple[str, str]]) -> Iterator[Weakening]:
    is_there = (policy.namespace, policy.name) in existing
    reason, after = ("PolicyDetached", "no longer governs it") if is_there else ("PolicyDeleted", "deleted")
    yield weakening(proxy, reason, f"MCPPolicy {policy.identity}", "governs it", after)
    if is_there:
        title = f"MCPProxy {proxy.identity}"
        yield weakening(policy, reason, "spec.targetRefs", f"governs {title}", f"no longer governs {title}")


def _allows_more(policy: PolicyDocument, others: Collection[PolicyDocument]) -> Iterator[str]:
    """Yield what a policy adds to others: of one tier, what any policy allows is allowed."""
    tier = [each for each in others if each.tier == policy.tier]
    rules = policy.access.rules if policy.access is not None else []
    if any(rule.effect == "Allow" for rule in rules) and any(
        each.access and restricts(each.access.rules) for each in tier
    ):
        yield "adds Allow rules to those of other policies"
    if policy.authentication is not None and any(each.authentication is not None for each in tier):
        yield "adds ways to be authenticated to those of other policies"
