"""A proxy in front of a real API server that fails on demand: refuses, hangs, ends watches, rejects tokens.

async with kube_api_proxy(control_plane, directory) as api:
    world.kubeconfig = api.kubeconfig(token)
    api.refuse(lambda request: request.method == "GET", status=429, times=3)
    with api.holding(lambda request: is_write(request, SECRET)) as held: await held.reached.wait()
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from ostiary_tools.cluster import certificates, control_plane
from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.common import private

Chooses = Callable[[web.BaseRequest], bool]
_HOP = {"Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length", "Content-Encoding", "Host"}
_EXPIRED = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}


def lists(plural: str) -> Chooses:
    """Lists of a kind."""
    return lambda request: request.method == "GET" and request.path.endswith(f"/{plural}") and not is_watch(request)


def writes(plural: str, ending: str = "") -> Chooses:
    """Patches of a kind: of names, or of subresources, that end so."""
    return lambda request: request.method == "PATCH" and f"/{plural}/" in request.path and request.path.endswith(ending)


def is_watch(request: web.BaseRequest) -> bool:
    """Whether a request is a watch."""
    return "watch" in request.query


@dataclass
class HeldRequest:
    """A request that waits. ``reached`` is set when there is one; it continues once ``go`` is set."""

    chooses: Chooses
    answered: bool
    """Let the API server answer first, and keep the answer back."""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class _Refusal:
    chooses: Chooses
    status: int
    headers: dict[str, str]
    left: int


@dataclass
class KubeApiProxy:
    """How it behaves from now on. ``seen`` holds method and path of all that arrived, watches and refused ones too."""

    upstream: ControlPlane
    directory: Path
    url: str = ""
    revoked: set[str] = field(default_factory=set)
    """Tokens that are not accepted."""
    seen: list[tuple[str, str]] = field(default_factory=list)
    watches: set[asyncio.Event] = field(default_factory=set)
    """One for each that is open; it ends with 410 when its event is set."""
    _refusals: list[_Refusal] = field(default_factory=list)
    _held: list[HeldRequest] = field(default_factory=list)

    def kubeconfig(self, token: str) -> Path:
        """Write a kubeconfig that leads here, at the same place each time, as a token's file is renewed."""
        authority = (self.directory / "ca.crt").read_bytes()
        path = self.directory / "kubeconfig"
        private.write(
            path, control_plane.render_kubeconfig(url=self.url, authority=authority, token=token, user="operator")
        )
        return path

    def refuse(self, chooses: Chooses, *, status: int, times: int, **headers: str) -> None:
        """Answer the next such requests with an error."""
        self._refusals.append(_Refusal(chooses, status, headers, times))

    @property
    def refusals_left(self) -> int:
        """How many more requests are refused."""
        return sum(refusal.left for refusal in self._refusals)

    @contextlib.contextmanager
    def holding(self, chooses: Chooses, *, answered: bool = False) -> Iterator[HeldRequest]:
        """Let such requests wait until the end, or until they are let go."""
        held = HeldRequest(chooses, answered)
        self._held.append(held)
        try:
            yield held
        finally:
            self._held.remove(held)
            held.go.set()

    def expire_watches(self) -> int:
        """End every watch with 410, as after a compaction; return how many there were."""
        number = len(self.watches)
        for watch in self.watches:
            watch.set()
        return number

    def count(self, method: str, within: str) -> int:
        """How many requests of a method had this in their path."""
        return sum(each == method and within in path for each, path in self.seen)

    async def handle(self, request: web.BaseRequest, session: aiohttp.ClientSession) -> web.StreamResponse:
        """Answer one request."""
        self.seen.append((request.method, request.path))
        if request.headers.get("Authorization", "").removeprefix("Bearer ") in self.revoked:
            return web.json_response({"kind": "Status", "code": 401, "message": "Unauthorized"}, status=401)
        for refusal in self._refusals:
            if refusal.left and refusal.chooses(request):
                refusal.left -= 1
                status = {"kind": "Status", "code": refusal.status, "message": "told to refuse"}
                return web.json_response(status, status=refusal.status, headers=refusal.headers)
        await self._hold(request, answered=False)
        headers = {name: value for name, value in request.headers.items() if name not in _HOP}
        url = f"{self.upstream.url}{request.rel_url}"
        async with session.request(request.method, url, headers=headers, data=await request.read() or None) as answer:
            response = web.StreamResponse(
                status=answer.status, headers={k: v for k, v in answer.headers.items() if k not in _HOP}
            )
            await self._hold(request, answered=True)
            await response.prepare(request)
            await (self._relay_watch(answer, response) if is_watch(request) else _relay(answer, response))
            return response

    async def _hold(self, request: web.BaseRequest, *, answered: bool) -> None:
        for held in self._held:
            if held.answered == answered and held.chooses(request):
                held.reached.set()
                await held.go.wait()

    async def _relay_watch(self, answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
        expired = asyncio.Event()
        self.watches.add(expired)
        relaying = asyncio.ensure_future(_relay(answer, response))
        waiting = asyncio.ensure_future(expired.wait())
        try:
            await asyncio.wait({relaying, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if expired.is_set():
                await response.write(json.dumps({"type": "ERROR", "object": _EXPIRED}).encode() + b"\n")
        finally:
            self.watches.discard(expired)
            for task in (relaying, waiting):
                task.cancel()
            await asyncio.wait({relaying, waiting})


async def _relay(answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
    with contextlib.suppress(aiohttp.ClientError, ConnectionError):  # either side left
        async for chunk in answer.content.iter_any():
            await response.write(chunk)


@contextlib.asynccontextmanager
async def kube_api_proxy(upstream: ControlPlane, directory: Path) -> AsyncIterator[KubeApiProxy]:
    """Serve it over TLS on a free port of loopback."""
    certificates.write_authority_and_server(directory, names=["localhost"], addresses=["127.0.0.1"])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(directory / "server.crt", directory / "server.key")
    proxy = KubeApiProxy(upstream, directory)
    connector = aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(cafile=str(upstream.ca_file)))
    async with aiohttp.ClientSession(
        connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)
    ) as session:
        server = web.Server(lambda request: proxy.handle(request, session), access_log=None, handler_cancellation=True)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
            proxy.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
            yield proxy
        finally:
            await runner.cleanup()
