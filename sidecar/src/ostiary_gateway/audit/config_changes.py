"""Records of changes of the config.

They name its revision and digest, and the proxies and policies that changed.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ostiary_core.canonical import canonical, digest
from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.config.snapshot import Snapshot

#: Proxies, and policies, that one record names. Their names have up to 317 characters.
_AT_ONCE: Final = 16


def config_digest(snapshot: Snapshot) -> str:
    """Return a digest of the settings and of the entries of all proxies in force."""
    entries = {identity: proxy.digest for identity, proxy in snapshot.proxies.items()}
    settings = digest(snapshot.settings.canonical())
    return digest(canonical({"gateway": snapshot.gateway.identity, "settings": settings, "entries": entries}))


def changes(before: Snapshot | None, now: Snapshot, changed: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Yield the members of the records of a change: several where much has changed."""
    old = before.proxies if before is not None else {}
    proxies = [_proxy(identity, old, now.proxies) for identity in sorted(changed)]
    policies = list(_policies(changed, old, now.proxies))
    members: dict[str, Any] = {
        "gateway": now.gateway.identity,
        "configRevision": now.revision,
        "configDigest": config_digest(now),
        "previousRevision": before.revision if before is not None else 0,
        "settingsChanged": before is None or before.settings != now.settings,
        "proxies": len(now.proxies),
    }
    parts = max(1, -(-len(proxies) // _AT_ONCE), -(-len(policies) // _AT_ONCE))
    for part in range(parts):
        some = slice(part * _AT_ONCE, (part + 1) * _AT_ONCE)
        named = {"changedProxies": proxies[some], "changedPolicies": policies[some]}
        yield {**members, **named, "part": part + 1, "parts": parts}


def _proxy(identity: str, old: Mapping[str, ProxyRuntime], new: Mapping[str, ProxyRuntime]) -> dict[str, Any]:
    found = {"name": identity, "before": _digest(old.get(identity)), "after": _digest(new.get(identity))}
    return {key: value for key, value in found.items() if value is not None}


def _digest(proxy: ProxyRuntime | None) -> str | None:
    return proxy.digest if proxy is not None else None


def _policies(
    changed: frozenset[str], old: Mapping[str, ProxyRuntime], new: Mapping[str, ProxyRuntime]
) -> Iterator[dict[str, Any]]:
    """Yield the policies of changed proxies that came, went, or have another generation."""
    before, after = (_generations(changed, proxies) for proxies in (old, new))
    for policy in sorted(before.keys() | after.keys()):
        if before.get(policy) != after.get(policy):
            found = {"name": policy, "before": before.get(policy), "after": after.get(policy)}
            yield {key: value for key, value in found.items() if value is not None}


def _generations(changed: frozenset[str], proxies: Mapping[str, ProxyRuntime]) -> dict[str, int]:
    found = (proxies[identity] for identity in changed if identity in proxies)
    return {policy.identity: policy.generation for proxy in found for policy in proxy.policies.values()}
