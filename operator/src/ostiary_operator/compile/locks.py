"""Decides which MCPLocks are in force.

An MCPLock is an allow-list, so an unusable one never opens anything: its last accepted version stays in force, as the
previous configs contain it, and without one it approves nothing. Several locks of one server count together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.definitions import (
    LockConfig,
)
from ostiary_core.contract.documents import EntryDocument
from ostiary_operator.api.reasons import AcceptedReason, ResolvedRefsReason
from ostiary_operator.api.resources import PROXY_KIND
from ostiary_operator.compile.lock_content import LockContent
from ostiary_operator.compile.messages import nearest
from ostiary_operator.compile.model import ObjectKey, ResourceRejection
from ostiary_operator.compile.resource_parser import ParsedLock, ParsedProxy


@dataclass(frozen=True, slots=True)
class LockInForce:
    """A lock as configs contain it. Equal for equal digests of what it approves."""

    digest: bytes
    config: LockConfig = field(compare=False)

    @classmethod
    def of(cls, config: LockConfig) -> "LockInForce":
        """Return a lock with its digest."""
        return cls(config.canonical(), config)


@dataclass(frozen=True, slots=True)
class LockDecision:
    """The result for one lock: the version in force, and what is wrong with the newest."""

    subject: ParsedLock
    proxy: ObjectKey | None
    in_force: LockInForce | None
    rejection: ResourceRejection | None = None
    unresolved: ResourceRejection | None = None

    @property
    def serves_last_accepted(self) -> bool:
        """Whether the last accepted version is in force instead of the newest."""
        return self.rejection is not None and self.in_force is not None


def decide_locks(
    locks: Iterable[ParsedLock], proxies: Iterable[ParsedProxy], previous: Mapping[str, GatewayConfig]
) -> tuple[LockDecision, ...]:
    """Decide for every lock."""
    known = {proxy.key: proxy for proxy in proxies}
    kept = _accepted_before(previous)
    return tuple(_decide(lock, known, kept) for lock in locks)


def locks_by_proxy(decisions: Iterable[LockDecision]) -> Mapping[ObjectKey, tuple[LockInForce, ...]]:
    """Return the locks in force of each proxy, in the order of their names."""
    found: dict[ObjectKey, list[LockInForce]] = {}
    for decision in decisions:
        if decision.proxy is not None and decision.in_force is not None:
            found.setdefault(decision.proxy, []).append(decision.in_force)
    return {key: tuple(sorted(each, key=lambda it: (it.config.name, it.config.uid))) for key, each in found.items()}


def _accepted_before(previous: Mapping[str, GatewayConfig]) -> Mapping[str, tuple[EntryDocument, LockConfig]]:
    """Return the locks of the previous configs by uid, the newest version of each."""
    found: dict[str, tuple[EntryDocument, LockConfig]] = {}
    for config in previous.values():
        for entry in config.entries.values():
            for lock in (entry.definitions.locks if entry.definitions is not None else None) or ():
                before = found.get(lock.uid)
                if before is None or before[1].generation < lock.generation:
                    found[lock.uid] = entry, lock
    return found


def _decide(
    subject: ParsedLock,
    known: Mapping[ObjectKey, ParsedProxy],
    kept: Mapping[str, tuple[EntryDocument, LockConfig]],
) -> LockDecision:
    if subject.spec is None:
        rejection = ResourceRejection(AcceptedReason.INVALID, subject.problem)
        entry, lock = kept.get(subject.uid, (None, None))
        if entry is None or lock is None or entry.namespace != subject.key.namespace:
            return LockDecision(subject, None, None, rejection)
        return LockDecision(subject, _proxy_key(subject, entry.name), LockInForce.of(lock), rejection)
    key = _proxy_key(subject, subject.spec.proxy)
    unresolved = _missing(subject, subject.spec, known.get(key), known)
    return LockDecision(subject, key, LockInForce.of(_config(subject, subject.spec)), None, unresolved)


def _proxy_key(subject: ParsedLock, name: str) -> ObjectKey:
    return ObjectKey(PROXY_KIND, subject.key.namespace, name)


def _config(subject: ParsedLock, content: LockContent) -> LockConfig:
    approved = content.approved.items()
    fields = {field: {name: list(digests) for name, digests in names.items()} for field, names in approved}
    return LockConfig(
        name=subject.key.name,
        uid=subject.uid,
        generation=subject.generation,
        server=content.server,
        instructions=list(content.instructions) or None,
        **{name: names or None for name, names in fields.items()},
    )


def _missing(
    subject: ParsedLock, content: LockContent, proxy: ParsedProxy | None, known: Iterable[ObjectKey]
) -> ResourceRejection | None:
    """Return what a lock names and does not exist: its MCPProxy, or the server of that."""
    return _missing_server(subject, content, proxy) if proxy is not None else _missing_proxy(subject, content, known)


def _missing_proxy(subject: ParsedLock, content: LockContent, known: Iterable[ObjectKey]) -> ResourceRejection:
    names = [key.name for key in known if key.namespace == subject.key.namespace]
    close = nearest(content.proxy, names)
    remedy = f"did you mean {close}?" if close else "correct the name, or create the MCPProxy"
    words = f"{subject.title}: spec.proxyRef: there is no MCPProxy {subject.key.namespace}/{content.proxy}; {remedy}"
    return ResourceRejection(ResolvedRefsReason.REF_NOT_FOUND, words)


def _missing_server(subject: ParsedLock, content: LockContent, proxy: ParsedProxy) -> ResourceRejection | None:
    names = [server.name for server in proxy.spec.servers] if proxy.spec is not None else [content.server]
    if content.server in names:
        return None
    words = (
        f"{subject.title}: spec.server: MCPProxy {proxy.identity} has no server {content.server}; "
        f"write one of {', '.join(names)}"
    )
    return ResourceRejection(ResolvedRefsReason.REF_NOT_FOUND, words)
