"""``/proxies/NAMESPACE/NAME``: everything about one MCPProxy."""

from dataclasses import dataclass, replace
from typing import Final

from ostiary_operator.api.objects import ReadOnlyObject, mapping_of
from ostiary_operator.console.access.rights import Right
from ostiary_operator.console.empty_states import EmptyReason, EmptyState, empty
from ostiary_operator.console.page import Page, PageContext, PageView
from ostiary_operator.console.pages.recent_traffic import RecentTraffic, recent_traffic
from ostiary_operator.console.pages.replica_runs import ReplicaRun, replica_runs
from ostiary_operator.console.pages.seen_drift import judged_locks, seen_drift
from ostiary_operator.console.pages.seen_proxy import delivered, identity_in_path, seen_proxy
from ostiary_operator.local.client_setups import ClientSetup, credentials_of, endpoint_of, setups
from ostiary_operator.local.governed_proxy import GovernedProxy
from ostiary_operator.view import rows
from ostiary_operator.view.evidence.gathered import Gathered
from ostiary_operator.view.evidence.reader import ReplicaDefinitions
from ostiary_operator.view.proxy_details import LockDetail, ProxyDetails, locks_of, proxy_details, source_of

_MOST_POLICIES: Final = 256


@dataclass(frozen=True, slots=True)
class GoverningPolicy:
    """A policy of the proxy; of one that the viewer may not read nothing but the name is known."""

    identity: str
    is_readable: bool
    ready: str
    reason: str
    mode: str
    source: str


@dataclass(frozen=True, slots=True)
class ProxyModel:
    """The page.

    ``clients`` is empty where the proxy has no URL; ``problem`` says why nothing was delivered.
    """

    details: ProxyDetails
    recent: RecentTraffic | None
    replicas: tuple[ReplicaRun, ...]
    without_replicas: EmptyState | None
    policies: tuple[GoverningPolicy, ...]
    locks: tuple[LockDetail, ...]
    without_locks: EmptyState | None
    clients: tuple[ClientSetup, ...]
    without_policies: EmptyState | None
    pinning: str
    problem: str


async def _view(context: PageContext) -> PageView:
    identity = identity_in_path(context)
    proxy = await seen_proxy(context, identity)
    details = proxy_details(proxy, await context.sources.objects.gateways())
    governed = await delivered(context, identity)
    answers = await _answers(context, identity)
    replicas, without_replicas = _replicas(answers, details)
    told = answers.value if answers is not None else ()
    details = details if details.drift else replace(details, drift=seen_drift(told))
    locks, without_locks = await _locks(context, identity, details)
    locks = judged_locks(locks, details.drift, told)
    policies = await _policies(context, proxy)
    model = ProxyModel(
        details,
        (await recent_traffic(context, [identity])).of.get(identity),
        replicas,
        without_replicas,
        policies,
        locks,
        without_locks,
        _clients(governed, details),
        None if policies else empty(EmptyReason.NO_OBJECTS, words=_UNGOVERNED, remedy=_GOVERN),
        _pinning(governed, details),
        governed if isinstance(governed, str) else "",
    )
    return PageView("proxy.html", model, title=identity)


_UNGOVERNED: Final = "No policy governs it: the gateway's setting withoutPolicy decides for all callers."
_GOVERN: Final = "Create an MCPPolicy with a targetRef to it."


async def _answers(context: PageContext, identity: str) -> Gathered[tuple[ReplicaDefinitions, ...]] | None:
    """Return what replicas say of the proxy; None without the right to see it."""
    namespace, _, name = identity.partition("/")
    if not await context.rights.may(Right.EVIDENCE, namespace=namespace, name=name):
        return None
    return await context.sources.evidence.definitions(identity)


def _replicas(
    answers: Gathered[tuple[ReplicaDefinitions, ...]] | None, details: ProxyDetails
) -> tuple[tuple[ReplicaRun, ...], EmptyState | None]:
    if answers is None:
        return (), empty(EmptyReason.NO_RIGHT, words="What each replica runs is evidence, which you may not look at.")
    found = replica_runs(answers, details.row.digests)
    return found, None if found else empty(EmptyReason.REPLICA_UNREACHABLE, words="There is no replica to ask.")


def _clients(governed: GovernedProxy | str, details: ProxyDetails) -> tuple[ClientSetup, ...]:
    if isinstance(governed, str) or not details.row.url:
        return ()
    return setups(endpoint_of(governed, details.row.url), credentials_of(governed))


def _pinning(governed: GovernedProxy | str, details: ProxyDetails) -> str:
    """Return what is in force: a policy of the platform may demand more than the spec."""
    if isinstance(governed, str):
        return details.pinning or "Off"
    definitions = governed.entry.definitions
    return (definitions.pinning if definitions is not None else None) or "Off"


async def _locks(
    context: PageContext, identity: str, details: ProxyDetails
) -> tuple[tuple[LockDetail, ...], EmptyState | None]:
    found = locks_of(identity, await context.sources.objects.locks())
    visible = await context.rights.visible(Right.LOCK, [each.identity for each in found])
    kept = tuple(each for each in found if each.identity in visible)
    if kept:
        return kept, None
    if found:
        return (), empty(EmptyReason.NO_RIGHT, words="It has MCPLocks that you may not see.")
    words = "No MCPLock approves definitions of its servers."
    remedy = f"Write one from what its servers show now: ostiary lock {identity} PATH" if details.pinning else ""
    return (), empty(EmptyReason.NO_OBJECTS, words=words, remedy=remedy)


async def _policies(context: PageContext, proxy: ReadOnlyObject) -> tuple[GoverningPolicy, ...]:
    named = mapping_of(proxy.get("status")).get("policies") or ()
    identities = [f"{each.get('namespace')}/{each.get('name')}" for each in named][:_MOST_POLICIES]
    readable = await context.rights.visible(Right.POLICY, identities)
    return tuple([await _policy(context, each, is_readable=each in readable) for each in identities])


async def _policy(context: PageContext, identity: str, *, is_readable: bool) -> GoverningPolicy:
    found = await context.sources.objects.policy(identity) if is_readable else None
    if found is None:
        return GoverningPolicy(identity, is_readable, "", "", "", "")
    judged = rows.readiness_of(found)
    mode = mapping_of(found.get("spec")).get("mode")
    return GoverningPolicy(identity, True, judged.status, judged.reason, str(mode or "Enforce"), source_of(found))


PROXY: Final = Page("/proxies/{namespace}/{name}", "Proxy", _view, in_navigation=False)
