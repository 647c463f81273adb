"""``/``: the proxies that a viewer may see.

With their readiness, replicas, digests, policies, and calls.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ostiary_operator.api.objects import ReadOnlyObject, identity_of, mapping_of, namespace_of
from ostiary_operator.console.access.rights import Right
from ostiary_operator.console.empty_states import EmptyReason, EmptyState, empty
from ostiary_operator.console.page import Page, PageContext, PageView
from ostiary_operator.console.pages.recent_traffic import KnownTraffic, RecentTraffic, recent_traffic
from ostiary_operator.console.paging import PagedRows, paged
from ostiary_operator.view.cluster_reader import GatewayOverview
from ostiary_operator.view.rows import proxy_readiness, proxy_row

#: Policies that a row names; the others are counted.
_NAMED: Final = 3


class ReadyFilter(enum.StrEnum):
    """Which proxies are shown."""

    ALL = "All"
    READY = "Ready"
    NOT_READY = "NotReady"


@dataclass(frozen=True, slots=True)
class ListedProxy:
    """One row.

    ``recent`` is None where the viewer may not see traffic, or no replica tells of it.
    """

    identity: str
    ready: str
    reason: str
    message: str
    replicas: str
    digest: str
    policies: tuple[str, ...]
    policy_count: int
    url: str
    recent: RecentTraffic | None


@dataclass(frozen=True, slots=True)
class ProxiesModel:
    """The page.

    ``namespaces`` are those of proxies that the viewer may see, which are ``total`` together; of them ``not_ready`` are
    not ready. ``empty`` says why there is no row, ``missing`` which replicas did not answer.
    """

    search: str
    namespace: str
    ready: ReadyFilter
    namespaces: tuple[str, ...]
    total: int
    not_ready: int
    proxies: PagedRows[ListedProxy]
    empty: EmptyState | None
    missing: str


async def _view(context: PageContext) -> PageView:
    search, namespace = context.query.text("q"), context.query.namespace
    ready = context.query.choice("ready", ReadyFilter, ReadyFilter.ALL)
    seen, gateways = await _seen(context), await context.sources.objects.gateways()
    unready = {identity_of(each) for each in seen if not proxy_readiness(each, gateways).ready}
    found = [each for each in seen if _is_found(each, search, namespace) and _is_so(each, ready, unready)]
    page = paged(found, context.query.page)
    traffic = await recent_traffic(context, [identity_of(each) for each in page.rows])
    model = ProxiesModel(
        search,
        namespace,
        ready,
        tuple(sorted({namespace_of(each) for each in seen})),
        len(seen),
        len(unready),
        _rows(page, gateways, traffic),
        _empty(seen, found),
        traffic.missing,
    )
    return PageView("proxies.html", model)


async def _seen(context: PageContext) -> list[ReadOnlyObject]:
    objects = await context.sources.objects.proxies()
    visible = await context.rights.visible(Right.PROXY, [identity_of(each) for each in objects])
    return [each for each in objects if identity_of(each) in visible]


def _is_found(proxy: ReadOnlyObject, search: str, namespace: str) -> bool:
    if namespace not in {"", namespace_of(proxy)}:
        return False
    text = f"{identity_of(proxy)} {mapping_of(proxy.get('status')).get('url') or ''}".lower()
    return all(word in text for word in search.lower().split())


def _is_so(proxy: ReadOnlyObject, ready: ReadyFilter, unready: set[str]) -> bool:
    return ready is ReadyFilter.ALL or (identity_of(proxy) in unready) is (ready is ReadyFilter.NOT_READY)


def _rows(
    page: PagedRows[ReadOnlyObject], gateways: Mapping[str, GatewayOverview], traffic: KnownTraffic
) -> PagedRows[ListedProxy]:
    rows = tuple(_listed(each, gateways, traffic) for each in page.rows)
    return PagedRows(rows, page.number, page.last, page.total)


def _listed(proxy: ReadOnlyObject, gateways: Mapping[str, GatewayOverview], traffic: KnownTraffic) -> ListedProxy:
    row, identity = proxy_row(proxy, gateways), identity_of(proxy)
    count = mapping_of(proxy.get("status")).get("policyCount")
    return ListedProxy(
        identity,
        row.verdict.status,
        row.verdict.reason,
        row.verdict.message,
        row.replica_counts,
        row.digest,
        row.policies[:_NAMED],
        count if isinstance(count, int) else len(row.policies),
        row.url,
        traffic.of.get(identity),
    )


def _empty(seen: Sequence[ReadOnlyObject], found: Sequence[ReadOnlyObject]) -> EmptyState | None:
    if found:
        return None
    if seen:
        return empty(EmptyReason.FILTERED_OUT)
    return empty(EmptyReason.NO_OBJECTS, words="There is no MCPProxy that you may see.", remedy=_FIRST)


_FIRST: Final = "Make a first one with New proxy, or ask for the right to get mcpproxies in its namespace."

PROXIES: Final = Page("/", "Proxies", _view)
