"""What makes the alerts of gateways fire, one fault after the other, in the scene of :mod:`board_scene`.

    with governed_run(folder, store) as run:
        await call_everything(run, store)
        await misuse(run)
        async with running_gateway(tls=secret.files) as gateway:
            await misconfigure(gateway, secret)

Each fault is real, and as small as its alert permits.
"""

import asyncio
import contextlib
import json
import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from gateways import RunningGateway, policy
from local_run import Run
from mcp_caller import legacy, mcp_caller
from tls_secrets import MountedSecret
from web_application import serving_application

#: More than alerts about shares want, so that single failures do not fire them.
_MANY = 25
_INVALID = {"name": "bad", "effect": "Deny", "tools": {"patterns": ["("]}}
#: Alerts of this scene, and of :mod:`board_scene`, whose server, store and collector are away.
FIRING = {
    "OstiaryAuditCopiesLost",
    "OstiaryAuditSinkDown",
    "OstiaryAuthenticationsFailing",
    "OstiaryBoundReached",
    "OstiaryCertificateExpires",
    "OstiaryCertificateRejected",
    "OstiaryCircuitOpen",
    "OstiaryConfigRejected",
    "OstiaryDefinitionsChanged",
    "OstiaryEventLoopLag",
    "OstiaryFilesExhausted",
    "OstiaryGatewaySlow",
    "OstiaryLabelsDropped",
    "OstiaryLimitStoreDown",
    "OstiaryRequestsFailing",
    "OstiaryServerDown",
    "OstiaryServerFailing",
    "OstiaryTelemetryLost",
}
#: Alerts of gateways that no scene causes within minutes: 16,384 records would have to wait for a disk that hangs.
NOT_HERE = {"OstiaryAuditRecordsLost"}


@contextlib.asynccontextmanager
async def refusing_receiver() -> AsyncIterator[str]:
    """A receiver of the audit trail that says of each batch that it is wrong, so that it is not sent again."""

    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=400)

    app = web.Application()
    app.router.add_post("/audit", refuse)
    async with serving_application(app) as origin:
        yield f"{origin}/audit"


async def misuse(run: Run) -> None:
    """Ask with wrong credentials, open too many streams, call a server that is away, and send bodies slowly."""
    url = f"http://localhost:{run.port}"
    async with mcp_caller(f"{url}/shop/mcp") as caller:
        for _ in range(4 * _MANY):  # more than succeeded before
            await caller.post(legacy("tools/list"), {"Authorization": "Bearer no-such-key"})
    async with mcp_caller(f"{url}/pool/mcp") as caller:
        await caller.initialize()
        async with caller.listen():
            for _ in range(_MANY):
                async with caller.listen():
                    pass
    async with mcp_caller(f"{url}/flaky/mcp") as caller:
        for _ in range(_MANY):
            await caller.post(legacy("tools/call", {"name": "echo", "arguments": {}}))
    await asyncio.gather(*(_send_slowly(f"{url}/shop/mcp") for _ in range(_MANY)))


async def _send_slowly(url: str) -> None:
    target, body = urlsplit(url), json.dumps(legacy("tools/list")).encode()
    reader, writer = await asyncio.open_connection(target.hostname, target.port)
    head = f"POST {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Accept: application/json, text/event-stream\r\nContent-Length: {len(body)}\r\n\r\n".encode())
    await writer.drain()
    await asyncio.sleep(0.3)  # on purpose: the gateway is to wait for the body
    writer.write(body)
    await reader.readline()
    writer.close()
    await writer.wait_closed()


async def misconfigure(gateway: RunningGateway, secret: MountedSecret) -> None:
    """Call a tool, and deliver an entry that is invalid, and a renewed certificate that cannot be used."""
    right = gateway.entry("right", "http://127.0.0.1:1/mcp")
    await gateway.apply(right)
    url = gateway.url("right").replace("http://", "https://")
    async with mcp_caller(url, authority=secret.authority) as caller:
        await caller.post(legacy("tools/call", {"name": "echo", "arguments": {}}))
    await gateway.apply(right, gateway.entry("wrong", "http://127.0.0.1:1/mcp", [policy("wrong", _INVALID)]))
    secret.place({})


async def wear_out(run: Run) -> None:
    """Until cancelled, block the event loop that one gateway shares with the test, and let the other open no file."""
    while True:
        _lower_files(run.process.pid)
        time.sleep(0.8)  # noqa: ASYNC251  on purpose: nothing else runs meanwhile
        await asyncio.sleep(0.2)  # on purpose: what waited gets its turn


def _lower_files(pid: int) -> None:
    """Lower how many files a process may open to little more than what it has open now."""
    opened = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (opened + 2, most))
