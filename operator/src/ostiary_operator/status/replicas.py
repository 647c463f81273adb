"""Finds the replicas of a gateway, and requests the report of each."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final

import aiohttp

from ostiary_core.errors import OstiaryError
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.api import labels
from ostiary_operator.status.replica_reports import MAX_BYTES, Report, parse_report

TIMEOUT: Final = aiohttp.ClientTimeout(total=2)
_CHUNK: Final = 64 * 1024


class NoResponse(OstiaryError):
    """A replica sent no report."""


class Refused(NoResponse):
    """A replica does not accept our bearer token: it has another Secret."""


@dataclass(frozen=True, slots=True, order=True)
class Replica:
    """One replica.

    The base URL of its admin port, its name in messages, and the name of its Pod, empty where it is not known.
    """

    url: str
    name: str
    pod: str = field(default="", compare=False)


def from_slices(slices: Iterable[Mapping[str, Any]]) -> tuple[Replica, ...]:
    """Return the ready replicas in the EndpointSlices of a gateway's Service, each once.

    A dual-stack Service has slices of both families, with the same Pods. IPv4 is preferred: a gateway listens on IPv6
    only in a cluster without IPv4.
    """
    found: dict[str, Replica] = {}
    for each in slices:
        ports = [port.get("port") for port in each.get("ports") or () if port.get("name") == labels.ADMIN_PORT]
        for endpoint in each.get("endpoints") or () if ports and isinstance(ports[0], int) else ():
            replica = _replica(endpoint, ports[0])
            if replica is not None and (replica.name not in found or "[" in found[replica.name].url):
                found[replica.name] = replica
    return tuple(sorted(found.values()))


def from_urls(urls: Iterable[str]) -> tuple[Replica, ...]:
    """Return replicas given by URL."""
    return tuple(sorted({Replica(url, url) for url in urls}))


def _replica(endpoint: Mapping[str, Any], port: int) -> Replica | None:
    """Return the replica behind an endpoint; None where it is not ready or has no address."""
    if (endpoint.get("conditions") or {}).get("ready", True) is False:
        return None
    try:
        address = ip_address((endpoint.get("addresses") or ("",))[0])
    except ValueError:
        return None
    host = f"[{address}]" if address.version == 6 else str(address)
    target = endpoint.get("targetRef") or {}
    name = str(target.get("name") or "")
    return Replica(f"http://{host}:{port}", name or host, name if target.get("kind") == "Pod" else "")


async def ask(
    session: aiohttp.ClientSession, replica: Replica, *, gateway: str, token: SecretBytes, most: int = MAX_BYTES
) -> Report:
    """Request the report of a replica; ``most`` is the limit of its size in bytes.

    Raises:
        NoResponse: no connection, no response in time, or an unusable one.
        Refused: the bearer token is not accepted.
        ReportError: the response is no report of this gateway.
    """
    try:
        async with session.get(
            f"{replica.url}/config", headers=bearer(token), timeout=TIMEOUT, allow_redirects=False
        ) as response:
            if response.status in {401, 403}:
                raise Refused(f"it refuses our token with {response.status}")
            if response.status != 200:
                raise NoResponse(f"it answers {response.status}")
            return parse_report(await bounded(response, most), gateway=gateway)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NoResponse(f"no answer: {cause(error)}") from error


def bearer(token: SecretBytes) -> dict[str, str]:
    """Return the headers of a request to an admin port."""
    return {"Authorization": f"Bearer {token.reveal().decode('ascii', 'replace')}", "Accept-Encoding": "identity"}


def cause(error: Exception) -> str:
    """Return why there was no response, in the operating system's words where it has any."""
    if isinstance(error, TimeoutError):  # first: it is an OSError, too
        return "it took too long"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was closed"
    return type(error).__name__


async def bounded(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Read a body of at most ``most`` bytes.

    Raises:
        NoResponse: it is larger.
    """
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > most:
            raise NoResponse(f"its answer is larger than {most} bytes")
    return bytes(body)
