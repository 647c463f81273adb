"""Which usage of limits a viewer may see.

A limit counts the callers of every proxy that its policy governs. So its keys are shown to a viewer who may see the
evidence of all these proxies, and the principals in them to one who may see all their calls. The right to read the
policy is not enough: everyone may have it for the platform's, and keys name tools of other tenants.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from ostiary_core.limits.compiled_limit import Dimension
from ostiary_operator.api.objects import ReadOnlyObject, identity_of, namespace_of
from ostiary_operator.console.access.rights import Right
from ostiary_operator.console.evidence_scope import EvidenceScope
from ostiary_operator.console.page import PageContext
from ostiary_operator.view.limit_usage import LimitUsage
from ostiary_operator.view.shadow_report import HIDDEN

#: Dimensions whose values say nothing of a caller.
_IMPERSONAL: Final = frozenset({Dimension.TOOL.value, Dimension.SERVER.value, Dimension.PROXY.value, "Gateway"})


@dataclass(frozen=True, slots=True)
class LimitRights:
    """The policies whose usage may be shown, and those of them whose principals may be."""

    policies: frozenset[str]
    with_principals: frozenset[str]
    is_all: bool = False

    def visible(self, keys: Iterable[LimitUsage]) -> tuple[LimitUsage, ...]:
        """Return the keys that may be shown, without the principals that may not."""
        if self.is_all:
            return tuple(keys)
        return tuple(
            each if each.policy in self.with_principals else _without_principals(each)
            for each in keys
            if each.policy in self.policies
        )


async def limit_rights(context: PageContext, scope: EvidenceScope) -> LimitRights:
    """Return what may be shown of policies that govern one of the proxies of a scope."""
    if scope.scope.named is None:
        return LimitRights(frozenset(), frozenset(), is_all=True)
    governed = _governed(await context.sources.objects.proxies())
    wanted = frozenset(scope.proxies)
    touched = {policy: proxies for policy, proxies in governed.items() if proxies & wanted}
    every = sorted(frozenset().union(*touched.values()))
    evidence = await context.rights.visible(Right.EVIDENCE, every)
    calls = await context.rights.visible(Right.CALLS, every)
    return LimitRights(
        policies=frozenset(each for each, proxies in touched.items() if proxies <= evidence),
        with_principals=frozenset(each for each, proxies in touched.items() if proxies <= calls),
    )


def _governed(proxies: Iterable[ReadOnlyObject]) -> Mapping[str, set[str]]:
    """Return the proxies that each policy governs, by the statuses that the operator wrote."""
    found: dict[str, set[str]] = {}
    for proxy in proxies:
        identity = identity_of(proxy)
        for policy in (proxy.get("status") or {}).get("policies") or ():
            reference = f"{policy.get('namespace') or namespace_of(proxy)}/{policy.get('name')}"
            found.setdefault(reference, set()).add(identity)
    return found


def _without_principals(usage: LimitUsage) -> LimitUsage:
    shown = ((name, value if name in _IMPERSONAL else HIDDEN) for name, value in usage.dimensions)
    return replace(usage, dimensions=tuple(shown), key="")
