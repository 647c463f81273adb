"""The answers of the admin port to the operator and to commands that hold the admin bearer."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from ostiary_core.mcp.methods import Primitive
from ostiary_core.strict_json import dumps
from ostiary_gateway.admin.config_report import ConfigReport
from ostiary_gateway.admin.rights import AdminRight, AdminRights
from ostiary_gateway.config.pinned_state import drift_report
from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.debug_capture.reader import CaptureReaders
from ostiary_gateway.upstream.server import UpstreamServer

LimitPage = Callable[[Mapping[str, str]], Awaitable[Mapping[str, Any]]]
"""Returns the page ``/limits`` for the parameters of its query, or raises ValueError."""


class AdminHandlers:
    """Answers ``/config``, ``/capture``, ``/limits``, ``/catalogue`` and ``/definitions``."""

    def __init__(
        self, store: ConfigStore, *, report: ConfigReport, captures: CaptureReaders, limits: LimitPage
    ) -> None:
        self._store = store
        self._report = report
        self._captures = captures
        self._limit_page = limits

    def routes(self, rights: AdminRights) -> list[web.RouteDef]:
        """Return the routes, all of which need the admin bearer."""
        answers = {
            "/config": self._config,
            "/capture": self._captures.serve,
            "/limits": self._limits,
            "/catalogue": self._catalogue,
            "/definitions": self._definitions,
        }
        return [web.get(path, rights.needed(AdminRight.ADMIN, answer)) for path, answer in answers.items()]

    async def _config(self, _: web.Request) -> web.Response:
        return web.Response(body=dumps(self._report.document()), content_type="application/json")

    async def _limits(self, request: web.Request) -> web.Response:
        try:
            found = await self._limit_page(request.query)
        except ValueError as error:
            return web.Response(status=400, text=f"{error}\n")
        return web.Response(body=dumps(found), content_type="application/json")

    async def _definitions(self, request: web.Request) -> web.Response:
        """Answer with the definitions of one proxy that were seen and are not approved."""
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
        proxy = self._proxy(request)
        if proxy is None:
            return _no_proxy()
        servers = [{"name": server.name, "names": _names(server)} for server in proxy.servers]
        return web.Response(body=dumps({"servers": servers}), content_type="application/json")


def _no_proxy() -> web.Response:
    return web.Response(status=404, text="proxy: name one that this gateway serves, as NAMESPACE/NAME\n")


def _names(server: UpstreamServer) -> dict[str, list[str]]:
    return {primitive.value: sorted(server.known.of(primitive)) for primitive in Primitive}
