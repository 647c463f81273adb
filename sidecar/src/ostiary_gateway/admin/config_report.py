"""The page ``/config``: what this replica runs. It shows digests, never content."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ostiary_core.mcp.methods import METHODS
from ostiary_core.policy.unmatched_names import MOST_REPORTED
from ostiary_gateway.config.observed_items import OFFERED
from ostiary_gateway.config.pinned_state import drift_summary
from ostiary_gateway.config.rejections import ConfigRejection, EntryRejection
from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.debug_capture.captures import DebugCaptures
from ostiary_gateway.telemetry.server_listings import LISTINGS
from ostiary_gateway.upstream.health import Health
from ostiary_gateway.upstream.server import UpstreamServer

#: The number of misplaced keys that are named.
_MISPLACED: Final = 10


class ConfigReport:
    """Writes the page.

    ``replica`` names this process. ``discovery`` returns reason and cause of the last check of a proxy's server
    (:mod:`ostiary_core.auth_discovery`), ``captures`` are those that readers may read, and ``state`` returns further
    members.
    """

    def __init__(
        self,
        store: ConfigStore,
        *,
        replica: str,
        discovery: Callable[[ProxyRuntime], tuple[str, str] | None],
        captures: DebugCaptures,
        state: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self._store = store
        self._replica = replica
        self._discovery = discovery
        self._debug_captures = captures
        self._state = state

    def document(self) -> dict[str, Any]:
        """Return what this replica runs.

        That is active and rejected digests per entry, and a config that was rejected as a whole. For the servers of an
        entry it includes their health, where known, and the names in rules that they do not offer. Where a server
        authenticates callers, it includes whether clients can find its authorization server.

        ``incomplete`` is a config whose parts have not all arrived; its revision is never in force already.
        ``misplacedKeys`` are files of the config with the name of a key: never used, since keys come only from the
        Secret. ``tracing`` says which exporters, sampler and propagators are active, or why tracing is off; ``audit``
        is the last checkpoint of the audit trail, ``auditTrail`` the state of its sinks; ``telemetry`` says of each
        signal that is exported whether it reaches its collector.
        """
        snapshot, rejected = self._store.snapshot, self._store.rejected_entries
        active = {} if snapshot is None else {key: proxy.digest for key, proxy in snapshot.proxies.items()}
        return {
            "replica": self._replica,
            "gateway": None if snapshot is None else snapshot.gateway.identity,
            "revision": None if snapshot is None else snapshot.revision,
            "entries": {
                key: {"active": active.get(key), "rejected": entry_rejection(rejected.get(key))}
                | ({} if snapshot is None else _servers(snapshot.proxies.get(key)))
                | ({} if snapshot is None else _offers(snapshot.proxies.get(key)))
                | ({} if snapshot is None else self._auth_discovery(snapshot.proxies.get(key)))
                | ({} if snapshot is None else self._debug_capture(snapshot.proxies.get(key)))
                | ({} if snapshot is None else _definitions(snapshot.proxies.get(key)))
                for key in sorted(active.keys() | rejected.keys())
            },
            "rejected": _config_rejection(self._store.rejected_config),
            "incomplete": _config_rejection(self._store.incomplete),
            **self._state(),
            "misplacedKeys": list(self._store.misplaced[:_MISPLACED]),
        }

    def _debug_capture(self, proxy: ProxyRuntime | None) -> dict[str, Any]:
        ends = self._debug_captures.ends_of(proxy) if proxy is not None and proxy.debug_capture is not None else None
        return {"debugCapture": {"until": int(ends * 1000)}} if ends is not None else {}

    def _auth_discovery(self, proxy: ProxyRuntime | None) -> dict[str, Any]:
        found = self._discovery(proxy) if proxy is not None else None
        return {"authDiscovery": {"reason": found[0], "message": found[1]}} if found is not None else {}


def _servers(proxy: ProxyRuntime | None) -> dict[str, Any]:
    """Return what is known of the servers of a proxy.

    That is nothing of one with one place before its first call.
    """
    found = {each.name: _server(each) for each in (proxy.servers if proxy is not None else ())}
    known = {name: server for name, server in found.items() if server}
    return {"servers": known} if known else {}


def _server(server: UpstreamServer) -> dict[str, Any]:
    revision = {"revision": server.revision} if server.revision is not None else {}
    circuit = {"circuit": found} if server.breaker is not None and (found := server.breaker.summary()) else {}
    endpoints = {"endpoints": server.endpoints.report} if server.endpoints is not None else {}
    return _health(server.health) | revision | circuit | endpoints | _catalogue(server)


def _catalogue(server: UpstreamServer) -> dict[str, Any]:
    """Return how many names a server has listed, and what the catalogue does not show of them."""
    listing, known = LISTINGS.of(server), server.known
    counts = {"tools": len(known.tools), "resources": len(known.resources), "prompts": len(known.prompts)}
    if listing is not None:
        counts = {METHODS[method].list_key: shown for method, shown in listing.shown.items()}
    found: dict[str, Any] = {"listed": counts} if any(counts.values()) or listing is not None else {}
    return found | ({"dropped": dict(listing.drops)} if listing is not None and listing.drops else {})


def _health(health: Health) -> dict[str, Any]:
    if not (health.answered or health.fault):
        return {}
    found: dict[str, Any] = {"answered": health.answered}
    if (fault := health.fault) is not None:
        found["fault"] = {"kind": fault.kind, "message": fault.message, "at": int(fault.at)}
    return found


def _offers(proxy: ProxyRuntime | None) -> dict[str, Any]:
    """Return which lists of a proxy are completely known, and names in rules missing there."""
    known, slips = OFFERED.of(proxy) if proxy is not None else ((), ())
    if not known:
        return {}
    missing = [
        {
            "policy": slip.exact.policy,
            "rule": slip.exact.rule,
            "primitive": slip.exact.primitive,
            "name": slip.exact.name,
            "nearest": slip.nearest,
        }
        for slip in slips
    ]
    return {"offers": {"known": list(known), "slips": missing, "cut": len(slips) >= MOST_REPORTED}}


def _definitions(proxy: ProxyRuntime | None) -> dict[str, Any]:
    """Return what was seen of the definitions of a proxy, where they are pinned."""
    rules = proxy.visibility.definitions if proxy is not None else None
    return {"definitions": drift_summary(rules)} if rules is not None and rules.pinning is not None else {}


def entry_rejection(found: EntryRejection | None) -> dict[str, Any] | None:
    """Return a rejected version of a proxy as a document; None without one."""
    if found is None:
        return None
    return {"digest": found.digest, "reason": found.reason, "message": found.message}


def _config_rejection(found: ConfigRejection | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"revision": found.revision, "reason": found.reason, "message": found.message}
