"""Protected resource metadata (RFC 9728): leads OAuth clients to the authorization servers.

A document is served at exact paths only, to GET, without authentication. Everything in it comes from the config: a
``resource`` taken from the request would let any sender choose for whom a client gets its token.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ostiary_core import strict_json

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
ANY_HOST: Final = ""
#: The most scopes in a document and a challenge.
_SCOPES_LIMIT: Final = 200
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


@dataclass(frozen=True, slots=True)
class ResourceUrls:
    """The public URLs of one proxy: ``origins`` by host, and its endpoint's path.

    The host is ``ANY_HOST`` for a proxy without hostnames.
    """

    origins: Mapping[str, str]
    endpoint: str

    @classmethod
    def build(cls, *, external_url: str | None, hostnames: Iterable[str], endpoint: str) -> "ResourceUrls":
        """Compute the URLs. Without an external URL there are only those of hostnames, with https."""
        scheme, _, authority = (external_url or "https://").lower().partition("://")
        authority = authority.rstrip("/")
        host, separator, port = authority.rpartition(":")
        if not separator or not port.isdecimal():
            host, port = authority, ""
        suffix = f":{port}" if port and port != _DEFAULT_PORTS.get(scheme) else ""
        names = {name: name for name in hostnames} or ({ANY_HOST: host} if host else {})
        return cls({key: f"{scheme}://{name}{suffix}" for key, name in names.items()}, endpoint)

    @property
    def resources(self) -> frozenset[str]:
        """The resource identifiers, which are the URLs that users type."""
        return frozenset(f"{origin}{self.endpoint}" for origin in self.origins.values())

    def resource(self, host: str) -> str:
        """Return the resource identifier at a host; empty where there is none."""
        origin = self.origins.get(host) or self.origins.get(ANY_HOST)
        return f"{origin}{self.endpoint}" if origin is not None else ""

    def metadata(self, host: str) -> str:
        """Return the URL of the metadata at a host; empty where there is none."""
        origin = self.origins.get(host) or self.origins.get(ANY_HOST)
        return f"{origin}{WELL_KNOWN}{self.endpoint}" if origin is not None else ""


class ResourceServer:
    """A proxy as an OAuth resource server: identifiers, authorization servers, scopes."""

    def __init__(
        self, *, hostnames: Iterable[str], endpoint: str, authorization_servers: Iterable[str], scopes: Iterable[str]
    ) -> None:
        self.authorization_servers: Final = tuple(dict.fromkeys(authorization_servers))
        self.scopes: Final = tuple(sorted(scopes))[:_SCOPES_LIMIT]
        self._hostnames = tuple(hostnames)
        self._endpoint = endpoint
        self._external_url: str | None = None
        self._urls = self._build(None)

    def urls(self, external_url: str | None) -> ResourceUrls:
        """Return the public URLs under the external URL of the gateway's settings."""
        if external_url != self._external_url:
            self._urls = self._build(external_url)
            self._external_url = external_url
        return self._urls

    def _build(self, external_url: str | None) -> ResourceUrls:
        return ResourceUrls.build(external_url=external_url, hostnames=self._hostnames, endpoint=self._endpoint)

    def document(self, host: str, external_url: str | None) -> bytes:
        """Return the metadata at a host (RFC 9728 §2)."""
        found: dict[str, object] = {
            "resource": self.urls(external_url).resource(host),
            "authorization_servers": list(self.authorization_servers),
            "bearer_methods_supported": ["header"],
        }
        if self.scopes:
            found["scopes_supported"] = list(self.scopes)
        return strict_json.dumps(found)


class MetadataIndex:
    """The metadata by host and path; ``relayed`` are proxies whose server has the metadata."""

    def __init__(
        self,
        resources: Iterable[ResourceServer] = (),
        *,
        relayed: Iterable[ResourceServer] = (),
        external_url: str | None = None,
    ) -> None:
        self._places: dict[tuple[str, str], MetadataPlace] = {}
        at_root: dict[str, list[MetadataPlace]] = {}
        own = [resource for resource in resources if resource.authorization_servers]
        for resource in (*own, *relayed):
            urls = resource.urls(external_url)
            for host in urls.origins:
                place = MetadataPlace(resource, host, external_url)
                self._places[host, WELL_KNOWN + urls.endpoint] = place
                at_root.setdefault(host, []).append(place)
        # Clients ask at the root where they get no answer at the path (RFC 9728 §3.1): it must not name another proxy.
        for host, places in at_root.items():
            if len(places) == 1:
                self._places[host, WELL_KNOWN] = places[0]

    def find(self, host: str, target: str) -> "MetadataPlace | None":
        """Return the metadata at a target, which is compared as it was sent.

        ``host`` is lower case, without port.
        """
        return self._places.get((host, target)) or self._places.get((ANY_HOST, target))


@dataclass(frozen=True, slots=True)
class MetadataPlace:
    """The metadata of one proxy at one host."""

    resource: ResourceServer
    host: str
    external_url: str | None

    @property
    def identifier(self) -> str:
        """The resource identifier."""
        return self.resource.urls(self.external_url).resource(self.host)

    def document(self) -> bytes:
        """Return the document, for a proxy with authorization servers of its own."""
        return self.resource.document(self.host, self.external_url)
