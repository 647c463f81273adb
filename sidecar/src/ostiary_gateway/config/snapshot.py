"""All proxies of one revision, and the lookup of a proxy by host and path.

Paths and hostnames match as a whole: ``/a`` never matches ``/ab``, and only the exact endpoint is served, or the
endpoint with one slash after it. The raw path is compared, without decoding or normalising: no other spelling matches.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ostiary_core.contract.documents import SettingsDocument
from ostiary_core.contract.manifest import GatewayIdentity
from ostiary_core.policy.block_list import BlockList
from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.config.usual_calls import UsualCalls

_ANY_HOST: Final = ""
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the gateway serves at one moment. Replaced in one assignment, never changed."""

    gateway: GatewayIdentity
    revision: int
    settings: SettingsDocument
    proxies: Mapping[str, ProxyRuntime]
    own_origins: frozenset[str]
    """The origin of the gateway's public URL and the origins that its settings allow: they may use every proxy."""
    blocked: BlockList | None
    """What the settings block; None where nothing is blocked."""
    _endpoints: Mapping[tuple[str, str], ProxyRuntime] = field(repr=False)
    _paths: Mapping[tuple[str, str], ProxyRuntime] = field(repr=False)
    _origins: Mapping[str, frozenset[str]] = field(repr=False)
    usual_calls: UsualCalls = field(default_factory=UsualCalls, init=False, repr=False)
    """What was found out about calls under this config."""
    identity: str = field(init=False)
    """The identity of the gateway, which limits may count by."""

    def __post_init__(self) -> None:
        """Write out what every request may need."""
        object.__setattr__(self, "identity", self.gateway.identity)

    def allows_origin(self, origin: str, proxy: ProxyRuntime) -> bool:
        """Return whether a page of this origin may use a proxy.

        A proxy's hostnames are its own, not other tenants'.
        """
        return origin in self.own_origins or origin in self._origins.get(proxy.identity, ())

    def blocks(self, proxy: ProxyRuntime) -> bool:
        """Return whether the settings block a proxy or all its servers."""
        blocked = self.blocked
        return blocked is not None and (
            blocked.has_proxy(proxy.identity) or all(blocked.has_server(server.places) for server in proxy.servers)
        )

    def at_endpoint(self, host: str, path: str) -> ProxyRuntime | None:
        """Return the proxy whose endpoint this is. ``host`` is lower case, without port."""
        return self._endpoints.get((host, path)) or self._endpoints.get((_ANY_HOST, path))

    def at_path(self, host: str, path: str) -> ProxyRuntime | None:
        """Return the proxy with this path (not endpoint), so that the answer can name its endpoint."""
        return self._paths.get((host, path)) or self._paths.get((_ANY_HOST, path))


def build_snapshot(
    gateway: GatewayIdentity, revision: int, settings: SettingsDocument, proxies: Mapping[str, ProxyRuntime]
) -> Snapshot:
    """Index the proxies of a revision."""
    endpoints: dict[tuple[str, str], ProxyRuntime] = {}
    paths: dict[tuple[str, str], ProxyRuntime] = {}
    for proxy in proxies.values():
        for host in proxy.hostnames or (_ANY_HOST,):
            endpoints[host, proxy.endpoint] = endpoints[host, proxy.endpoint + "/"] = proxy
            paths[host, proxy.path] = proxy
    own = frozenset({*_origins(settings), *settings.allowed_origins})
    origins = {key: _origins(settings, proxy.hostnames) for key, proxy in proxies.items() if proxy.hostnames}
    blocked = BlockList(settings.blocked) if settings.blocked is not None else None
    return Snapshot(gateway, revision, settings, proxies, own, blocked, endpoints, paths, origins)


def _origins(settings: SettingsDocument, hostnames: Iterable[str] | None = None) -> frozenset[str]:
    """Return the origins of the gateway's public URL at these hosts, or at its own host.

    Never from a request.
    """
    if settings.external_url is None:
        return frozenset()
    scheme, _, authority = settings.external_url.rstrip("/").lower().partition("://")
    host, separator, port = authority.rpartition(":")
    if not separator or not port.isdecimal():
        host, port = authority, ""
    # A browser omits the port where it is the scheme's default.
    suffix = f":{port}" if port and port != _DEFAULT_PORTS.get(scheme) else ""
    return frozenset(f"{scheme}://{name}{suffix}" for name in (hostnames if hostnames is not None else (host,)))
