"""Replicas of a gateway that share their keys and their config, behind a load balancer that takes them in turn.

async with gateway_replicas() as replicas:
    await replicas.apply(replicas.entry("mock", upstream))
    async with connect(replicas.url("mock"), era="legacy") as client: …

Two requests one after the other never reach the same replica, so the answer to a question is always sent to one that
did not ask it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from gateways import RunningGateway, running_gateway

from ostiary_core.contract.documents import EntryDocument, PolicyDocument

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "te", "upgrade"}
_SHARED_KEYS = ("mac_key", "session_key", "audit_key", "assertion_keys", "credentials")

Choice = Callable[["LoadBalancer", web.BaseRequest], int]
"""Which replica gets a request, by its number."""


def in_turn(balancer: "LoadBalancer", _request: web.BaseRequest) -> int:
    """Each request goes to the replica after that of the request before."""
    return len(balancer.chosen) % len(balancer.ports)


@dataclass(slots=True)
class LoadBalancer:
    """Relays requests to ports of loopback, as they come, bytes as they come."""

    ports: list[int]
    choice: Choice = in_turn
    chosen: list[int] = field(default_factory=list)
    """Which replica got each request, in order."""
    url: str = ""

    async def relay(self, session: aiohttp.ClientSession, request: web.BaseRequest) -> web.StreamResponse:
        """Send a request to the chosen replica, and what it answers back, until either side is gone."""
        number = self.choice(self, request)
        self.chosen.append(number)
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP]
        target = f"http://127.0.0.1:{self.ports[number]}{request.raw_path}"
        body = await request.read()
        async with session.request(request.method, target, headers=headers, data=body, allow_redirects=False) as answer:
            return await _relayed(request, answer)


async def _relayed(request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason)
    for name, value in answer.headers.items():
        if name.lower() not in _HOP_BY_HOP:
            response.headers.add(name, value)
    await response.prepare(request)
    async for piece in answer.content.iter_any():
        await response.write(piece)
    await response.write_eof()
    return response


@asynccontextmanager
async def load_balancer(ports: Sequence[int], *, choice: Choice = in_turn) -> AsyncIterator[LoadBalancer]:
    """Run a load balancer for these ports of loopback on a free one."""
    balancer = LoadBalancer(list(ports), choice)
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False, timeout=timeout) as session:

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            try:
                return await balancer.relay(session, request)
            except (aiohttp.ClientError, ConnectionError):
                return web.Response(status=502)

        runner = web.ServerRunner(web.Server(handle, handler_cancellation=True, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        balancer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield balancer
        finally:
            await runner.cleanup()


@dataclass(slots=True)
class GatewayReplicas:
    """The replicas, and the load balancer in front of them."""

    gateways: list[RunningGateway]
    balancer: LoadBalancer

    def url(self, name: str = "mock") -> str:
        """The endpoint of a proxy, behind the load balancer."""
        return f"{self.balancer.url}/{name}/mcp"

    def entry(
        self, name: str, upstream: str, policies: Sequence[PolicyDocument] = (), **more: Any
    ) -> tuple[EntryDocument, dict[str, PolicyDocument]]:
        """One proxy at ``/<name>``, and the policies that it names."""
        return self.gateways[0].entry(name, upstream, policies, **more)

    async def apply(self, *entries: tuple[EntryDocument, dict[str, PolicyDocument]]) -> None:
        """Let every replica load a config with exactly these proxies."""
        await self._each(lambda gateway: gateway.apply(*entries))

    def set(self, **settings: Any) -> None:
        """Change settings of every replica; they come with the next :meth:`apply`."""
        for gateway in self.gateways:
            gateway.settings = gateway.settings.model_copy(update=settings)

    async def _each(self, act: Callable[[RunningGateway], Awaitable[None]]) -> None:
        await asyncio.gather(*map(act, self.gateways))


@asynccontextmanager
async def gateway_replicas(
    number: int = 3, *, choice: Choice = in_turn, **options: Any
) -> AsyncIterator[GatewayReplicas]:
    """Run so many replicas, which have no config yet, and a load balancer.

    Args:
        number: how many.
        choice: which replica gets a request.
        options: further arguments of `running_gateway`.
    """
    async with AsyncExitStack() as stack:
        gateways = [
            await stack.enter_async_context(running_gateway(**{"replica": f"replica-{each}"} | options))
            for each in range(number)
        ]
        for gateway in gateways[1:]:
            for key in _SHARED_KEYS:
                setattr(gateway, key, getattr(gateways[0], key))
        ports = [gateway.app.port for gateway in gateways]
        balancer = await stack.enter_async_context(load_balancer(ports, choice=choice))
        yield GatewayReplicas(gateways, balancer)
