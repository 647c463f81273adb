"""An API server that does nothing but pass requests on to Pods: as a script says, over real HTTP.

async with pod_proxying(handler) as (proxy, logins): await proxy.get(pod, "/evidence/calls", query={}, headers={})
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web
from evidence_replicas import Handler
from kubernetes.aio.client import Configuration

from ostiary_operator.kube.pod_proxy import PodPort, PodProxy
from ostiary_operator.kube.rest import RestClient

POD = PodPort("ostiary-system", "gw-a", 8081)
PATH = "/api/v1/namespaces/ostiary-system/pods/gw-a:8081/proxy"


@dataclass
class Logins:
    """Stands for the client of the API server: its credentials are those of the last login."""

    host: str
    number: int = 1
    _configuration: Configuration | None = None

    async def configuration(self) -> Configuration:
        """The credentials in force."""
        if self._configuration is None:
            self._configuration = Configuration(host=self.host, api_key={"BearerToken": f"login-{self.number}"})
            self._configuration.api_key_prefix["BearerToken"] = "Bearer"
        return self._configuration

    async def close(self) -> None:
        """Forget them: the next ones are others."""
        self._configuration, self.number = None, self.number + 1


def status(code: int, reason: str) -> web.Response:
    """What the API server itself answers."""
    body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "message": f"pods is {reason}", "reason": reason}
    return web.json_response({**body, "code": code}, status=code)


@asynccontextmanager
async def pod_proxying(handler: Handler) -> AsyncIterator[tuple[PodProxy, Logins]]:
    """Yield a proxy of Pods whose API server answers what the handler does."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    logins = Logins(f"http://127.0.0.1:{runner.addresses[0][1]}")
    proxy = PodProxy(cast("RestClient", logins))
    try:
        yield proxy, logins
    finally:
        await proxy.close()
        await runner.cleanup()
