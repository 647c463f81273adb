"""Assigns paths at each gateway to proxies: of two that conflict, the older keeps its path.

A proxy claims its path and its endpoint, the path followed by ``/mcp``. Two claims conflict where one of these is the
same at overlapping hosts; a claim without hostnames overlaps every host. The same checks apply to the claim of a new
version and of a kept one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from ostiary_core.contract.documents import EntryDocument
from ostiary_core.contract.documents import ServerConfig as ServerDocument
from ostiary_operator.api.proxy import ProxySpec
from ostiary_operator.api.reasons import AcceptedReason
from ostiary_operator.api.servers import Server
from ostiary_operator.compile.foreign_servers import ServerKey
from ostiary_operator.compile.gateway_settings import Site
from ostiary_operator.compile.model import ObjectKey, ResourceRejection

#: The port of a URL that names none.
DEFAULT_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}
_FORWARDED_HOST: Final = "x-forwarded-host"


class ConnectedHost(NamedTuple):
    """A host that a gateway connects to; ``place`` and ``field`` say where it is written.

    ``home`` is the namespace that may have it without a grant.
    """

    place: str
    field: str
    host: str
    home: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Path, hostnames (none: every host) and server URLs, for the proxy ``key``."""

    key: ObjectKey
    path: str
    hostnames: tuple[str, ...]
    urls: tuple[str, ...]
    hosts: tuple[str | None, ...] = ()
    """The Host header for each server, where it is not that of its URL."""
    tls_names: tuple[str | None, ...] = ()
    """The TLS server name (SNI) of each server, where it is not that of its URL."""
    forwarded: tuple[str, ...] = ()
    """The X-Forwarded-Host for each server, which some servers use as the Host."""
    endpoints: tuple[tuple[str, ...], ...] = ()
    """The addresses at which each server is reached, instead of the host of its URL."""

    token_endpoints: tuple[str | None, ...] = ()
    """The token endpoint of each server's credential."""
    token_clients: tuple[str, ...] = ()
    """The field of each server's credential that has the token endpoint."""
    homes: tuple[str | None, ...] = ()
    """The namespace of each server of another operator; None for the others."""

    @property
    def title(self) -> str:
        """How messages name the proxy."""
        return f"{self.key.kind} {self.key.namespace}/{self.key.name}"

    @property
    def destinations(self) -> Iterator["ConnectedHost"]:
        """Yield everything that the gateway connects to, except for unresolved references."""
        own = self.key.namespace
        for index, host in enumerate(self.upstreams):
            if host:
                field = "serverRef" if self.homes and self.homes[index] is not None else "url"
                yield ConnectedHost(f"spec.servers[{index}]", field, host, self.home(index))
        for index, addresses in enumerate(self.endpoints):
            for number, address in enumerate(addresses):
                yield ConnectedHost(f"spec.servers[{index}].endpoints[{number}]", "address", address.lower(), own)
        for index, url in enumerate(self.token_endpoints):
            if url is not None:
                place = f"spec.servers[{index}].credential.{self.token_clients[index]}"
                yield ConnectedHost(place, "tokenEndpoint", urlsplit(url).hostname or "", own)

    def home(self, index: int) -> str:
        """Return the namespace that a server belongs to."""
        return (self.homes[index] if self.homes else None) or self.key.namespace

    @property
    def upstreams(self) -> Iterable[str]:
        """The hosts of the servers, in lower case and without brackets."""
        return (urlsplit(url).hostname or "" for url in self.urls)

    def hosts_of(self, index: int) -> Iterator[str]:
        """Yield every host that leads to a server: of its URL, and of its endpoints."""
        yield urlsplit(self.urls[index]).hostname or ""
        yield from (address.lower() for address in (self.endpoints[index] if self.endpoints else ()))


def claim_of_spec(key: ObjectKey, spec: ProxySpec) -> Claim:
    """Return the claim of a version that a user wrote."""
    path = spec.path if spec.path is not None else f"/{key.namespace}/{key.name}"
    urls = tuple(server_url(server, key.namespace) for server in spec.servers)
    hosts = tuple(server.host for server in spec.servers)
    return Claim(
        key,
        path,
        spec.hostnames,
        urls,
        hosts,
        tuple(map(_tls_name, spec.servers)),
        _forwarded(spec.servers),
        tuple(map(_endpoints, spec.servers)),
        tuple(map(_token_endpoint, spec.servers)),
        tuple(map(_token_client, spec.servers)),
        tuple(_home(server, key.namespace) for server in spec.servers),
    )


def claim_of_entry(key: ObjectKey, entry: EntryDocument) -> Claim:
    """Return the claim of a version that was accepted before."""
    urls, hosts = zip(*((server.url, server.host) for server in entry.servers), strict=True)
    return Claim(
        key,
        entry.path,
        tuple(entry.hostnames),
        urls,
        hosts,
        tuple(map(_tls_name, entry.servers)),
        _forwarded(entry.servers),
        tuple(map(_endpoints, entry.servers)),
        tuple(map(_token_endpoint, entry.servers)),
        tuple(map(_token_client, entry.servers)),
        tuple(_kept_home(server) for server in entry.servers),
    )


def _endpoints(server: Server | ServerDocument) -> tuple[str, ...]:
    return tuple(each.address for each in server.endpoints or ())


def _home(server: Server, namespace: str) -> str | None:
    return (server.server_ref.namespace or namespace) if server.server_ref is not None else None


def _kept_home(server: ServerDocument) -> str | None:
    key = ServerKey.parse(server.reference) if server.reference is not None else None
    return key.namespace if key is not None else None


def _token_endpoint(server: Server | ServerDocument) -> str | None:
    credential = server.credential
    client = credential.token_client if credential is not None else None
    return client.token_endpoint if client is not None else None


def _token_client(server: Server | ServerDocument) -> str:
    credential = server.credential
    return "tokenExchange" if credential is not None and credential.token_exchange is not None else "clientCredentials"


def _tls_name(server: Server | ServerDocument) -> str | None:
    return server.tls.hostname if server.tls is not None else None


def _forwarded(servers: Iterable[Server] | Iterable[ServerDocument]) -> tuple[str, ...]:
    return tuple(
        ",".join(each.value for each in server.headers or () if each.name.lower().replace("_", "-") == _FORWARDED_HOST)
        for server in servers
    )


def is_parseable(entry: EntryDocument) -> bool:
    """Return whether an entry's claim can be parsed at all.

    Anyone with the key of a gateway can write the config that is read back as accepted there: in a tenant's namespace
    the tenant. No content of it may stop the compilation of the others.
    """
    try:
        hosts = [urlsplit(f"//{server.host}").hostname for server in entry.servers if server.host is not None]
        urls = [urlsplit(server.url) for server in entry.servers]
        # Reading the port raises ValueError where it is invalid.
        hosts += [url.hostname if url.port != 0 and url.scheme in DEFAULT_PORTS else None for url in urls]
        hosts += [urlsplit(url_at(each)).hostname for server in entry.servers for each in _endpoints(server)]
    except ValueError:
        return False
    return entry.path.startswith("/") and all(hosts) and bool(urls)


def url_at(address: str, scheme: str = "http") -> str:
    """Return a URL of an endpoint's address, which has no brackets even in version six."""
    return f"{scheme}://{f'[{address}]' if ':' in address else address}"


def server_url(server: Server, namespace: str) -> str:
    """Return the URL of a server; a Service has its name in the cluster's DNS.

    It is empty for a reference that is not resolved: the proxy is not served so.
    """
    if server.url is not None or server.server_ref is not None:
        return server.url or ""
    service = server.service
    if service is None:
        raise AssertionError("a server has exactly one of url, service and serverRef")
    scheme = "https" if server.tls is not None else "http"
    path = service.path or ("/" if server.openapi is not None else "/mcp")
    return f"{scheme}://{service.name}.{namespace}.svc:{service.port}{path}"


class GrantedRoutes:
    """The claims that were granted so far. Grant in order of age: the first one keeps its path."""

    def __init__(self) -> None:
        self._claims: dict[tuple[str, str], list[Claim]] = {}

    def rival(self, claim: Claim, site: Site, *, ignoring_namespace: str | None = None) -> Claim | None:
        """Return the claim of another proxy that this one would conflict with at a gateway."""
        for address in _addresses(claim):
            for other in self._claims.get((site.identity, address), ()):
                foreign = other.key != claim.key and other.key.namespace != ignoring_namespace
                if foreign and _overlap(claim, other):
                    return other
        return None

    def grant(self, claim: Claim, sites: Iterable[Site]) -> None:
        """Record a claim."""
        for site in sites:
            for address in _addresses(claim):
                self._claims.setdefault((site.identity, address), []).append(claim)


def path_is_free(
    claim: Claim, site: Site, ledger: GrantedRoutes, *, ignoring_namespace: str | None = None
) -> ResourceRejection | None:
    """Reject a claim whose path an older proxy has, except one of ``ignoring_namespace``."""
    rival = ledger.rival(claim, site, ignoring_namespace=ignoring_namespace)
    return None if rival is None else _refusal(claim, rival, site)


def _addresses(claim: Claim) -> tuple[str, str]:
    return claim.path, f"{claim.path}/mcp"


def _overlap(one: Claim, other: Claim) -> bool:
    return not one.hostnames or not other.hostnames or not set(one.hostnames).isdisjoint(other.hostnames)


def _refusal(claim: Claim, rival: Claim, site: Site) -> ResourceRejection:
    common = [host for host in claim.hostnames if host in rival.hostnames]
    hosts = common or list(claim.hostnames) or list(rival.hostnames)
    where = f"at {', '.join(hosts)}" if hosts else "at every host"
    what = f"{claim.path} is" if claim.path == rival.path else f"{claim.path} overlaps {rival.path}, which is"
    message = (
        f"{claim.title}: spec.path: {what} already served {where} of gateway {site.identity} "
        f"by the older {rival.title}; choose another path or hostname, or remove the other"
    )
    return ResourceRejection(AcceptedReason.PATH_CONFLICT, message)
