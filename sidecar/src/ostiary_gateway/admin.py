"""The admin port: liveness, readiness, metrics, and the config that this replica runs.

It is separate from the data port, so that a NetworkPolicy can distinguish them. ``/healthz``, ``/readyz`` and
``/metrics`` are open, and ``/continuations`` takes what other replicas have sealed (added by the app); all else needs
the bearer token from the gateway's Secret. ``/config`` shows digests, never content; ``/capture`` shows the exchanges
of proxies with a debug capture, ``/limits`` what callers have used of limits, ``/catalogue`` what servers list,
and ``/definitions`` which definitions drifted from the lock.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from ostiary_core.mcp.methods import METHODS, Primitive
from ostiary_core.policy.unmatched_names import MOST_REPORTED
from ostiary_core.strict_json import dumps
from ostiary_gateway.config.observed_items import OFFERED
from ostiary_gateway.config.pinned_state import drift_report, drift_summary
from ostiary_gateway.config.rejections import ConfigRejection, EntryRejection
from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.debug_capture.captures import DebugCaptures
from ostiary_gateway.debug_capture.reader import CaptureReaders
from ostiary_gateway.errors import port_taken
from ostiary_gateway.telemetry.server_listings import LISTINGS
from ostiary_gateway.threads import in_background
from ostiary_gateway.upstream.health import Health
from ostiary_gateway.upstream.server import UpstreamServer

#: The number of misplaced keys that are named.
_MISPLACED: Final = 10


class Admin:
    """Serves the admin port.

    ``ready`` says whether requests are accepted; ``replica`` names this process. ``discovery`` returns reason and cause
    of the last check of a proxy's server (:mod:`ostiary_core.auth_discovery`); ``captures`` are those that readers may
    read. ``exposition`` returns the text of a scrape for an Accept header, and its content type. ``limits`` returns the
    page ``/limits`` for the parameters of its query, or raises ValueError. ``state`` returns further members of
    ``/config``.
    """

    def __init__(
        self,
        *,
        store: ConfigStore,
        ready: Callable[[], str | None],
        exposition: Callable[[str], tuple[bytes, str]],
        replica: str,
        discovery: Callable[[ProxyRuntime], tuple[str, str] | None],
        captures: DebugCaptures,
        limits: Callable[[Mapping[str, str]], Awaitable[Mapping[str, Any]]],
        state: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self._store = store
        self._not_ready = ready
        self._exposition = exposition
        self._replica = replica
        self._discovery = discovery
        self._debug_captures = captures
        self._limit_page = limits
        self._captures = CaptureReaders(captures, replica=replica)
        self._scraping = asyncio.Lock()
        self._state = state

    def application(self) -> web.Application:
        """Return the application of the admin listener."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
                web.get("/config", self._config),
                web.get("/capture", self._capture),
                web.get("/limits", self._limits),
                web.get("/catalogue", self._catalogue),
                web.get("/definitions", self._definitions),
            ]
        )
        return app

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        reason = self._not_ready()
        return web.Response(text="ok\n") if reason is None else web.Response(text=f"{reason}\n", status=503)

    async def _metrics(self, request: web.Request) -> web.Response:
        """Answer a scrape as its Accept header wants it.

        Scrapes take turns, since each takes a thread.
        """
        async with self._scraping:
            text, content_type = await in_background(self._exposition, request.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": content_type})

    async def _capture(self, request: web.Request) -> web.StreamResponse:
        return await self._captures.serve(request) if self._bears_token(request) else _no_token()

    async def _limits(self, request: web.Request) -> web.Response:
        if not self._bears_token(request):
            return _no_token()
        try:
            found = await self._limit_page(request.query)
        except ValueError as error:
            return web.Response(status=400, text=f"{error}\n")
        return web.Response(body=dumps(found), content_type="application/json")

    async def _definitions(self, request: web.Request) -> web.Response:
        """Answer with the definitions of one proxy that were seen and are not approved."""
        if not self._bears_token(request):
            return _no_token()
        proxy = self._proxy(request)
        if proxy is None:
            return _no_proxy()
        rules = proxy.visibility.definitions
        drift = drift_report(rules) if rules is not None else []
        return web.Response(body=dumps({"drift": drift}), content_type="application/json")

    def _proxy(self, request: web.Request) -> ProxyRuntime | None:
        snapshot = self._store.snapshot
        return snapshot.proxies.get(request.query.get("proxy", "")) if snapshot is not None else None

    async def _catalogue(self, request: web.Request) -> web.Response:
        """Answer with the names that the servers of one proxy have listed, to any caller."""
        if not self._bears_token(request):
            return _no_token()
        proxy = self._proxy(request)
        if proxy is None:
            return _no_proxy()
        servers = [{"name": server.name, "names": _names(server)} for server in proxy.servers]
        return web.Response(body=dumps({"servers": servers}), content_type="application/json")

    async def _config(self, request: web.Request) -> web.Response:
        if not self._bears_token(request):
            return _no_token()
        return web.Response(body=dumps(self.report()), content_type="application/json")

    def _bears_token(self, request: web.Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        given = token.strip().encode("utf-8", "replace")
        found = [hmac.compare_digest(given, known) for known in self._store.keyring.admin_tokens]
        return scheme.lower() == "bearer" and any(found)

    def report(self) -> dict[str, Any]:
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
                key: {"active": active.get(key), "rejected": _entry_rejection(rejected.get(key))}
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


def _no_proxy() -> web.Response:
    return web.Response(status=404, text="proxy: name one that this gateway serves, as NAMESPACE/NAME\n")


def _no_token() -> web.Response:
    return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"}, text="the admin bearer token is required\n")


async def listen(runner: web.BaseRunner, host: str, port: int) -> int:
    """Start the admin listener and return its port, which is chosen if ``port`` is 0.

    Raises:
        StartupError: the port is taken, or the address is not a local one; names the option to change.
    """
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        raise port_taken("admin port", host, port, error, option="--admin-port or ADMIN_PORT") from error
    addresses: list[tuple[Any, ...]] = runner.addresses
    return int(addresses[-1][1])


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


def _names(server: UpstreamServer) -> dict[str, list[str]]:
    return {primitive.value: sorted(server.known.of(primitive)) for primitive in Primitive}


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


def _entry_rejection(found: EntryRejection | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"digest": found.digest, "reason": found.reason, "message": found.message}


def _config_rejection(found: ConfigRejection | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"revision": found.revision, "reason": found.reason, "message": found.message}
