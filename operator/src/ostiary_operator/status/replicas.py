"""Which replicas a gateway has, and what one of them says that it runs."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

import aiohttp

from ostiary_core.errors import OstiaryError
from ostiary_operator.api import labels
from ostiary_operator.delivery.secret_bytes import SecretBytes
from ostiary_operator.status.reports import MAX_BYTES, Report, parse_report

TIMEOUT: Final = aiohttp.ClientTimeout(total=2)
_CHUNK: Final = 64 * 1024


class NoAnswer(OstiaryError):
    """A replica could not be asked."""


class Refused(NoAnswer):
    """A replica does not accept our bearer: its Secret is another one than we think."""


@dataclass(frozen=True, slots=True, order=True)
class Replica:
    """One replica: the base URL of its admin port, and how people call it."""

    url: str
    name: str


def from_slices(slices: Iterable[Mapping[str, Any]]) -> tuple[Replica, ...]:
    """Return the ready replicas in the EndpointSlices of a gateway's Service, each once.

    A Service of both families has slices of both, with the same Pods. They are asked by IPv4: a gateway that listens on
    IPv6 only is one of a cluster that has nothing else.
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
    name = (endpoint.get("targetRef") or {}).get("name") or host
    return Replica(f"http://{host}:{port}", str(name))


async def ask(
    session: aiohttp.ClientSession, replica: Replica, *, gateway: str, token: SecretBytes, most: int = MAX_BYTES
) -> Report:
    """Ask a replica what it runs; ``most`` are the bytes that are read of its answer.

    Raises:
        NoAnswer: no connection, no answer in time, or an answer that is none.
        Refused: the bearer is not accepted.
        ReportError: an answer that is no report of this gateway.
    """
    headers = {"Authorization": f"Bearer {token.reveal().decode('ascii', 'replace')}", "Accept-Encoding": "identity"}
    try:
        async with session.get(
            f"{replica.url}/config", headers=headers, timeout=TIMEOUT, allow_redirects=False
        ) as response:
            if response.status in {401, 403}:
                raise Refused(f"it refuses our token with {response.status}")
            if response.status != 200:
                raise NoAnswer(f"it answers {response.status}")
            return parse_report(await _bounded(response, most), gateway=gateway)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NoAnswer(f"no answer: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    """Say in words why nothing came: those of the system where it has some."""
    if isinstance(error, TimeoutError):  # first: it is an OSError, too
        return "it took too long"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was closed"
    return type(error).__name__


async def _bounded(response: aiohttp.ClientResponse, most: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > most:
            raise NoAnswer(f"its answer is larger than {most} bytes")
    return bytes(body)
