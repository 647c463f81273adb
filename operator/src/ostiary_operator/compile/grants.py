"""Checks what a namespace may claim at a gateway: its own path prefix, and what is granted.

Each check is a function of a claim, a site and facts about the cluster. It returns why the claim is rejected, or None.
"""

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ostiary_core.addresses import Address, parse
from ostiary_operator.api.grants import Grant
from ostiary_operator.api.reasons import AcceptedReason
from ostiary_operator.api.settings import GatewaySettings, Tenancy
from ostiary_operator.compile import backends
from ostiary_operator.compile.gateway_settings import Site
from ostiary_operator.compile.model import ResourceRejection, first_rejection
from ostiary_operator.compile.routes import Claim, ConnectedHost


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """Facts about the cluster that the checks need.

    They are the existing namespaces, the Services of those with proxies, and the addresses of the API server.
    """

    namespaces: AbstractSet[str]
    services: backends.Services = field(default_factory=dict)
    api_servers: AbstractSet[Address] = frozenset()


def permitted(claim: Claim, site: Site, facts: ClusterFacts) -> ResourceRejection | None:
    """Run all checks of a claim at a gateway that do not depend on other claims."""
    return first_rejection(_CHAIN, claim, site, facts)


def addresses(site: Site, namespace: str) -> list[str]:
    """Return the CIDRs that are granted to servers of a namespace; the gateway refuses others."""
    return sorted({str(network) for grant in _grants(site, namespace) for network in grant.addresses})


def needs_managed_slices(site: Site, service: backends.ServiceName) -> bool:
    """Return whether only EndpointSlices count that Kubernetes' own controller made.

    That is so in Multi, unless a grant names the Service: others lead out of the namespace.
    """
    chain = backends.ServiceChain((service,))
    return _is_multi(site) and not _is_trusted(chain, _grants(site, service.namespace))


def path_is_of_no_other_namespace(claim: Claim, _site: Site, facts: ClusterFacts) -> ResourceRejection | None:
    """``/<namespace>/…`` belongs to that namespace, in every tenancy, despite any grant."""
    owner = claim.path.split("/", 2)[1]
    if owner == claim.key.namespace or owner not in facts.namespaces:
        return None
    message = (
        f"{claim.title}: spec.path: {claim.path} belongs to the namespace {owner}; "
        f"use a path under /{claim.key.namespace}/, or one whose first segment is no namespace"
    )
    return ResourceRejection(AcceptedReason.PATH_NOT_PERMITTED, message)


def path_is_granted(claim: Claim, site: Site, _facts: ClusterFacts) -> ResourceRejection | None:
    """In Multi, a path outside ``/<namespace>`` needs a grant."""
    namespace = claim.key.namespace
    own = claim.path.split("/", 2)[1] == namespace
    if own or not _is_multi(site) or any(grant.covers_path(claim.path) for grant in _grants(site, namespace)):
        return None
    message = (
        f"{claim.title}: spec.path: gateway {site.identity} does not grant {claim.path} to the namespace {namespace}; "
        f"use a path under /{namespace}/, or ask the platform team for a grant in the gateway's settings"
    )
    return ResourceRejection(AcceptedReason.PATH_NOT_PERMITTED, message)


def hostnames_are_granted(claim: Claim, site: Site, _facts: ClusterFacts) -> ResourceRejection | None:
    """In Multi, every hostname needs a grant."""
    namespace = claim.key.namespace
    for index, hostname in enumerate(claim.hostnames if _is_multi(site) else ()):
        if any(grant.covers_hostname(hostname) for grant in _grants(site, namespace)):
            continue
        message = (
            f"{claim.title}: spec.hostnames[{index}]: gateway {site.identity} does not grant {hostname} "
            f"to the namespace {namespace}; remove it, or ask the platform team for a grant in the gateway's settings"
        )
        return ResourceRejection(AcceptedReason.HOSTNAME_NOT_PERMITTED, message)
    return None


def upstreams_are_granted(claim: Claim, site: Site, facts: ClusterFacts) -> ResourceRejection | None:
    """In Multi, a server outside the namespace needs a grant, through any chain of Services."""
    title, namespace, hosts = claim.title, claim.key.namespace, claim.destinations if _is_multi(site) else ()
    return next(filter(None, (_object_to_host(title, each, namespace, site, facts) for each in hosts)), None)


def api_server_is_granted(claim: Claim, site: Site, facts: ClusterFacts) -> ResourceRejection | None:
    """In every tenancy, a URL with an address of the API server needs a grant of that address.

    Where a name resolves to one, the gateway refuses it at the connect.
    """
    title, namespace, hosts = claim.title, claim.key.namespace, claim.destinations if facts.api_servers else ()
    return next(filter(None, (_object_to_address(title, each, namespace, site, facts) for each in hosts)), None)


def object_to_connection(
    title: str, destination: ConnectedHost, namespace: str, site: Site, facts: ClusterFacts, *, is_trusted: bool
) -> ResourceRejection | None:
    """Return why a gateway may not connect to a host for a resource of a namespace.

    ``is_trusted`` is set for the platform's own resources, which may name any host.
    """
    if not is_trusted and _is_multi(site):
        rejection = _object_to_host(title, destination, namespace, site, facts)
        if rejection is not None:
            return rejection
    return _object_to_address(title, destination, namespace, site, facts)


def _object_to_host(
    title: str, destination: ConnectedHost, namespace: str, site: Site, facts: ClusterFacts
) -> ResourceRejection | None:
    what = _outside(destination, namespace, site, facts)
    return (
        ResourceRejection(AcceptedReason.UPSTREAM_NOT_PERMITTED, f"{title}: {destination.place}{what}")
        if what
        else None
    )


def _object_to_address(
    title: str, destination: ConnectedHost, namespace: str, site: Site, facts: ClusterFacts
) -> ResourceRejection | None:
    address = parse(destination.host)
    if address is None or address not in facts.api_servers or _grants_address(_grants(site, namespace), address):
        return None
    message = (
        f"{title}: {destination.place}.{destination.field}: {destination.host} is an address of the cluster's API "
        f"server, and gateway {site.identity} does not grant it; name an MCP server, or ask the platform team for a "
        "grant of the address in the gateway's settings"
    )
    return ResourceRejection(AcceptedReason.UPSTREAM_NOT_PERMITTED, message)


def _grants_address(grants: Iterable[Grant], address: Address) -> bool:
    return any(address in network for grant in grants for network in grant.addresses)


def hosts_are_granted(claim: Claim, site: Site, _facts: ClusterFacts) -> ResourceRejection | None:
    """In Multi, the Host header must name the namespace's Service or loopback, or be granted.

    One address may serve many hosts, which only this name distinguishes.
    """
    for index, host in enumerate(claim.hosts if _is_multi(site) else ()):
        name = urlsplit(f"//{host}").hostname or "" if host is not None else ""
        rejection = _name_outside(claim, site, f"servers[{index}].host", name)
        if rejection is not None:
            return rejection
    return None


def tls_names_are_granted(claim: Claim, site: Site, _facts: ClusterFacts) -> ResourceRejection | None:
    """In Multi, the same for the TLS server name (SNI), which ingresses route by, too.

    A Service of the namespace may have any name, since no other tenant is behind it.
    """
    for index, name in enumerate(claim.tls_names if _is_multi(site) else ()):
        if name is None or _leads_to_own(claim, index):
            continue
        rejection = _name_outside(claim, site, f"servers[{index}].tls.hostname", name)
        if rejection is not None:
            return rejection
    return None


def forwarded_hosts_are_granted(claim: Claim, site: Site, _facts: ClusterFacts) -> ResourceRejection | None:
    """In Multi, the same for X-Forwarded-Host, which some servers use as the Host.

    A Service of the namespace may get any value.
    """
    for index, listed in enumerate(claim.forwarded if _is_multi(site) else ()):
        for name in listed.split(",") if not _leads_to_own(claim, index) else ():
            rejection = _name_outside(claim, site, f"servers[{index}].headers", _PORT.sub("", name.strip().lower()))
            if rejection is not None:
                return rejection
    return None


def _name_outside(claim: Claim, site: Site, field: str, name: str) -> ResourceRejection | None:
    namespace = claim.key.namespace
    if not name or name in _LOOPBACK or _is_own(name, namespace) or _covers(_grants(site, namespace), name):
        return None
    message = (
        f"{claim.title}: spec.{field}: {name} is outside the namespace {namespace}, and gateway "
        f"{site.identity} does not grant it; remove it, or ask the platform team for a grant in the gateway's "
        "settings"
    )
    return ResourceRejection(AcceptedReason.UPSTREAM_NOT_PERMITTED, message)


def _leads_to_own(claim: Claim, index: int) -> bool:
    """Return whether a server is a Service of its namespace, at each of its places."""
    return all(_is_own(host, claim.home(index)) for host in claim.hosts_of(index))


def _is_own(host: str, namespace: str) -> bool:
    service = backends.service_of(host)
    return service is not None and service.namespace == namespace


def _outside(destination: ConnectedHost, namespace: str, site: Site, facts: ClusterFacts) -> str | None:
    """Return how a host leaves its namespace without a grant; None where it does not."""
    host, home, grants = destination.host, destination.home, list(_grants(site, namespace))
    service = backends.service_of(host)
    if service is None or service.namespace != home:
        if _covers(grants, host):
            return None
        return (
            f".{destination.field}: {host} is outside the namespace {home}, and gateway {site.identity} does not "
            "grant it; use a Service of the namespace, or ask the platform team for a grant in the gateway's settings"
        )
    chain = backends.follow_chain(service, facts.services)
    if _is_trusted(chain, grants):
        return None
    if chain.exit is not None:
        return None if _covers(grants, chain.exit) else _leads_out(chain, chain.exit, site)
    return _endpoints(chain, site, facts)


def _leads_out(chain: backends.ServiceChain, host: str, site: Site) -> str:
    name = f"Service {chain.last.namespace}/{chain.last.name}"
    return (
        f": {name} is of type ExternalName and leads to {host}, outside the namespace {chain.last.namespace}, and "
        f"gateway {site.identity} does not grant {host}; use a Service that selects Pods of the namespace, or ask the "
        "platform team for a grant in the gateway's settings"
    )


def _endpoints(chain: backends.ServiceChain, site: Site, facts: ClusterFacts) -> str | None:
    """Return why a Service's endpoints may be in any namespace; None where they are not."""
    name = f"Service {chain.last.namespace}/{chain.last.name}"
    if chain.endless:
        return f": {name} leads back to itself, or through too many of type ExternalName; let it select Pods"
    if backends.may_have_unseen_slices(chain.last, facts.services):
        return (
            f": the operator may not list EndpointSlices in the namespace {chain.last.namespace}, so it cannot tell "
            f"whether endpoints of {name} were written by hand; give the operator the chart's rights"
        )
    service = backends.find(chain.last, facts.services)
    if service is None or (service.has_selector and not service.foreign_slices):
        return None
    slices = f"the EndpointSlice {service.foreign_slices[0]} is not Kubernetes' own" if service.has_selector else ""
    return (
        f": {name} has endpoints that may be of any namespace ({slices or 'it has no selector'}), and gateway "
        f"{site.identity} does not grant {chain.last.host} by name; use a Service that selects Pods of the namespace, "
        "or ask the platform team for a grant in the gateway's settings"
    )


def _is_trusted(chain: backends.ServiceChain, grants: Iterable[Grant]) -> bool:
    """Return whether a grant names a Service of the chain, so that it may have any endpoints."""
    names = {spelling for service in chain.chain for spelling in backends.spellings(service.host)}
    return any("*" in grant.upstreams or not names.isdisjoint(grant.upstreams) for grant in grants)


def _covers(grants: Iterable[Grant], host: str) -> bool:
    return any(grant.covers_upstream(spelling) for grant in grants for spelling in backends.spellings(host))


_PORT = re.compile(":[0-9]*$")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_CHAIN = (
    path_is_of_no_other_namespace,
    path_is_granted,
    hostnames_are_granted,
    upstreams_are_granted,
    api_server_is_granted,
    hosts_are_granted,
    tls_names_are_granted,
    forwarded_hosts_are_granted,
)


def _settings(site: Site) -> GatewaySettings:
    if site.settings is None:
        raise AssertionError("nothing is placed at a gateway without settings")
    return site.settings


def _is_multi(site: Site) -> bool:
    return _settings(site).tenancy is Tenancy.MULTI


def _grants(site: Site, namespace: str) -> Iterator[Grant]:
    return (grant for grant in _settings(site).grants if grant.concerns(namespace))
