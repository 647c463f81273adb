"""The public URLs of a proxy: from externalURL and hostnames only, never from a request."""

from urllib.parse import urlsplit

from ostiary_core.contract.documents import EntryDocument
from ostiary_operator.compile.claims import DEFAULT_PORTS
from ostiary_operator.compile.sites import Site


def endpoints(site: Site, entry: EntryDocument) -> list[tuple[str, str, str]]:
    """Return (gateway, hostname or empty, URL) for each URL at which a gateway serves an entry.

    With hostnames it is served at those only, with scheme and port of externalURL. Without externalURL the address is
    that of the gateway's Service.
    """
    base = _base(site)
    if not entry.hostnames:
        return [(site.identity, "", f"{base}{entry.endpoint}")]
    return [(site.identity, host, f"{_at(base, host)}{entry.endpoint}") for host in entry.hostnames]


def _base(site: Site) -> str:
    if site.settings is not None and site.settings.external_url is not None:
        return site.settings.external_url
    gateway = site.gateway
    port = "" if gateway.port == DEFAULT_PORTS["http"] else f":{gateway.port}"
    return f"http://{gateway.service}.{gateway.namespace}.svc{port}"


def _at(base: str, host: str) -> str:
    parts = urlsplit(base)
    port = "" if parts.port in (None, DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"
