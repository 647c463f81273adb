"""What servers list, which lists callers got empty, and which definitions drifted."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ostiary_core.metric_family import MetricFamily, MetricKind
from ostiary_gateway.config.pinned_state import drift_counts
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.telemetry.empty_lists import EMPTY_LISTS
from ostiary_gateway.telemetry.list_cache_requests import LIST_CACHE_REQUESTS
from ostiary_gateway.telemetry.server_listings import LISTINGS, ServerListing

_LABELS: Final = ("ostiary_proxy", "ostiary_server")
ITEMS: Final = MetricFamily(
    "ostiary_catalogue_items",
    "Items of a merged catalogue by their server and the method that lists them, as of the latest lists",
    labels=(*_LABELS, "mcp_method_name"),
)
DROPPED: Final = MetricFamily(
    "ostiary_catalogue_items_dropped",
    "Items that a server lists and its merged catalogue does not show, by reason, as of the latest lists",
    labels=(*_LABELS, "reason"),
)
EMPTY: Final = MetricFamily(
    "ostiary_empty_lists",
    "Empty lists that callers got, by cause: UpstreamEmpty, FilteredToEmpty, or UpstreamUnreachable",
    MetricKind.COUNTER,
    labels=("ostiary_proxy", "cause"),
)


DRIFT: Final = MetricFamily(
    "ostiary_definition_drift",
    "Definitions that servers showed although no MCPLock approves them, in lists that passed while they were pinned",
    MetricKind.COUNTER,
    labels=(*_LABELS, "primitive"),
)
CACHED: Final = MetricFamily(
    "ostiary_list_cache_requests",
    "Lists of servers that were needed for callers, by outcome: hit, fetched, or stale where the server failed",
    MetricKind.COUNTER,
    labels=("outcome",),
)


class CatalogueState(Collector):
    """The catalogues of the proxies in force.

    Labels are names of the config, and methods and reasons of ours.
    """

    def __init__(self, store: ConfigStore) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Yield the state of this moment."""
        found = dict(self._listings())
        yield ITEMS.values(
            {(*key, method): count for key, each in found.items() for method, count in each.shown.items()}
        )
        yield DROPPED.values({(*key, why): count for key, each in found.items() for why, count in each.drops.items()})
        yield EMPTY.values(dict(EMPTY_LISTS.counts))
        yield DRIFT.values(dict(self._drift()))
        yield CACHED.values(dict(LIST_CACHE_REQUESTS))

    def _drift(self) -> Iterator[tuple[tuple[str, str, str], int]]:
        snapshot = self._store.snapshot
        for proxy in snapshot.proxies.values() if snapshot is not None else ():
            rules = proxy.visibility.definitions
            for (server, primitive), count in drift_counts(rules).items() if rules is not None else ():
                yield (proxy.identity, server, primitive), count

    def _listings(self) -> Iterator[tuple[tuple[str, str], ServerListing]]:
        snapshot = self._store.snapshot
        for proxy in snapshot.proxies.values() if snapshot is not None else ():
            for server in proxy.servers:
                listing = LISTINGS.of(server)
                if listing is not None:
                    yield (proxy.identity, server.name), listing
