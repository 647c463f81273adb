"""Admin ports of replicas that answer what a test says, over real HTTP.

async with evidence_replicas() as start:
    port = await start(answers(head(proxies=[])))
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import MappingProxyType
from typing import Any, TypeAlias

from aiohttp import web
from command_line import CommandResult

from ostiary_core.evidence.proxy_traffic import ProxyTraffic
from ostiary_core.secret_bytes import SecretBytes
from ostiary_core.strict_json import dumps
from ostiary_operator.view.admin_client import AdminPort
from ostiary_operator.view.evidence.call_stream import CallEvent
from ostiary_operator.view.evidence.capture_log import DebugCaptureLog
from ostiary_operator.view.evidence.gathered import Gathered
from ostiary_operator.view.evidence.port_finders import EvidencePorts
from ostiary_operator.view.evidence.proxy_scope import ProxyScope, TrafficQuery
from ostiary_operator.view.evidence.reader import (
    MOST_SHOWN,
    ObservedCalls,
    ObservedRefusals,
    ReplicaDefinitions,
)
from ostiary_operator.view.evidence.replica_requests import EvidencePort
from ostiary_operator.view.limit_usage import LimitUsages

GATEWAY = "ostiary-system/default"
TOKEN = b"evidence"
#: The clock of replicas, in epoch milliseconds.
NOW = 1_800_000_000_000

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
StartReplica: TypeAlias = Callable[..., Awaitable[EvidencePort]]
#: Calls a command with the admin ports of replicas.
AskReplicas: TypeAlias = Callable[..., Awaitable[CommandResult]]


def head(replica: str = "gw-a", **more: Any) -> dict[str, Any]:
    """The members that every document begins with, and more."""
    return {"replica": replica, "gateway": GATEWAY, "since": NOW - 60_000, "now": NOW, "recording": True, **more}


def answers(document: Mapping[str, Any] | bytes, *, status: int = 200) -> Handler:
    """A handler that always sends this document to who bears the token."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN.decode()}":
            return web.Response(status=401)
        body = document if isinstance(document, bytes) else dumps(document)
        return web.Response(body=body, status=status, content_type="application/json")

    return handler


@asynccontextmanager
async def evidence_replicas() -> AsyncIterator[StartReplica]:
    """Yield a function that starts an admin port with one handler for every path."""
    async with AsyncExitStack() as stack:

        async def start(
            handler: Handler, name: str = "gw-a", *, gateway: str = GATEWAY, only: str = "", token: bytes = TOKEN
        ) -> EvidencePort:
            app = web.Application()
            app.router.add_get("/{path:.*}", handler)
            runner = web.AppRunner(app, shutdown_timeout=0.01)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            return EvidencePort(AdminPort(url, name, gateway, SecretBytes(token)), only)

        yield start


class KnownPorts:
    """A finder that always finds the same replicas; ``scopes`` are those that it was asked for."""

    def __init__(self, *ports: EvidencePort) -> None:
        self.found = EvidencePorts(ports)
        self.scopes: list[ProxyScope] = []

    async def find(self, scope: ProxyScope) -> EvidencePorts:
        """Return them."""
        self.scopes.append(scope)
        return self.found


class NoEvidence:
    """Evidence of a platform that has no gateway: every answer is empty, and complete."""

    async def traffic(self, wanted: TrafficQuery) -> Gathered[dict[str, ProxyTraffic]]:
        """Return no traffic."""
        del wanted
        return Gathered({})

    async def calls(self, scope: ProxyScope, *, limit: int = MOST_SHOWN) -> Gathered[ObservedCalls]:
        """Return no calls."""
        del scope, limit
        return Gathered(ObservedCalls())

    async def tail(
        self, scope: ProxyScope, *, after: Mapping[str, int] = MappingProxyType({})
    ) -> AsyncGenerator[CallEvent, None]:
        """Yield nothing, and end."""
        del scope, after
        nothing: tuple[CallEvent, ...] = ()
        for event in nothing:
            yield event

    async def refusals(self, scope: ProxyScope) -> Gathered[ObservedRefusals]:
        """Return no refusals."""
        del scope
        return Gathered(ObservedRefusals())

    async def limits(self, proxy: str = "") -> Gathered[LimitUsages]:
        """Return no usage of limits."""
        del proxy
        return Gathered(LimitUsages())

    async def captured(self, proxy: str) -> Gathered[DebugCaptureLog]:
        """Return no exchanges."""
        del proxy
        return Gathered(DebugCaptureLog())

    async def definitions(self, proxy: str) -> Gathered[tuple[ReplicaDefinitions, ...]]:
        """Return no definitions."""
        del proxy
        return Gathered(())
