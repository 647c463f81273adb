"""What a namespace may have at a gateway: its own path prefix always, everything else by tenancy and grants.

Each check is a function of a claim, a site and the namespaces that exist. It returns why the claim may not be, or None.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from urllib.parse import urlsplit

from ostiary_operator.api.grants import Grant
from ostiary_operator.api.settings import GatewaySettings, Tenancy
from ostiary_operator.api.status import AcceptedReason
from ostiary_operator.compile.checks import Refusal, first_refusal
from ostiary_operator.compile.claims import Claim
from ostiary_operator.compile.sites import Site


def permitted(claim: Claim, site: Site, namespaces: AbstractSet[str]) -> Refusal | None:
    """Ask whether the claim may be made at a gateway at all, whoever else is there."""
    return first_refusal(_CHAIN, claim, site, namespaces)


def addresses(site: Site, namespace: str) -> list[str]:
    """Return the CIDRs that servers of a namespace may resolve to although the gateway refuses them otherwise."""
    return sorted({str(network) for grant in _grants(site, namespace) for network in grant.addresses})


def path_is_of_no_other_namespace(claim: Claim, _site: Site, namespaces: AbstractSet[str]) -> Refusal | None:
    """``/<namespace>/…`` belongs to that namespace, in every tenancy and against every grant."""
    owner = claim.path.split("/", 2)[1]
    if owner == claim.key.namespace or owner not in namespaces:
        return None
    message = (
        f"{claim.title}: spec.path: {claim.path} belongs to the namespace {owner}; "
        f"use a path under /{claim.key.namespace}/, or one whose first segment is no namespace"
    )
    return Refusal(AcceptedReason.PATH_NOT_PERMITTED, message)


def path_is_granted(claim: Claim, site: Site, _namespaces: AbstractSet[str]) -> Refusal | None:
    """In Multi, a path outside ``/<namespace>`` needs a grant."""
    namespace = claim.key.namespace
    own = claim.path.split("/", 2)[1] == namespace
    if own or not _is_multi(site) or any(grant.covers_path(claim.path) for grant in _grants(site, namespace)):
        return None
    message = (
        f"{claim.title}: spec.path: gateway {site.identity} does not grant {claim.path} to the namespace {namespace}; "
        f"use a path under /{namespace}/, or ask the platform team for a grant in the gateway's settings"
    )
    return Refusal(AcceptedReason.PATH_NOT_PERMITTED, message)


def hostnames_are_granted(claim: Claim, site: Site, _namespaces: AbstractSet[str]) -> Refusal | None:
    """In Multi, every hostname needs a grant."""
    namespace = claim.key.namespace
    for index, hostname in enumerate(claim.hostnames if _is_multi(site) else ()):
        if any(grant.covers_hostname(hostname) for grant in _grants(site, namespace)):
            continue
        message = (
            f"{claim.title}: spec.hostnames[{index}]: gateway {site.identity} does not grant {hostname} "
            f"to the namespace {namespace}; remove it, or ask the platform team for a grant in the gateway's settings"
        )
        return Refusal(AcceptedReason.HOSTNAME_NOT_PERMITTED, message)
    return None


def upstreams_are_granted(claim: Claim, site: Site, _namespaces: AbstractSet[str]) -> Refusal | None:
    """In Multi, a server outside the namespace needs a grant."""
    namespace = claim.key.namespace
    for index, host in enumerate(claim.upstreams if _is_multi(site) else ()):
        if _is_inside(host, namespace) or any(grant.covers_upstream(host) for grant in _grants(site, namespace)):
            continue
        message = (
            f"{claim.title}: spec.servers[{index}].url: {host} lies outside the namespace {namespace}, and gateway "
            f"{site.identity} does not grant it; use a Service of the namespace, or ask the platform team for a grant "
            "in the gateway's settings"
        )
        return Refusal(AcceptedReason.UPSTREAM_NOT_PERMITTED, message)
    return None


def hosts_are_granted(claim: Claim, site: Site, _namespaces: AbstractSet[str]) -> Refusal | None:
    """In Multi, what is sent as Host must be of the namespace, of loopback, or granted.

    Behind one address there may be the servers of many, told apart by that name alone.
    """
    namespace = claim.key.namespace
    for index, host in enumerate(claim.hosts if _is_multi(site) else ()):
        name = urlsplit(f"//{host}").hostname or "" if host is not None else ""
        if not name or name in _LOOPBACK or _is_inside(name, namespace):
            continue
        if any(grant.covers_upstream(name) for grant in _grants(site, namespace)):
            continue
        message = (
            f"{claim.title}: spec.servers[{index}].host: {name} lies outside the namespace {namespace}, and gateway "
            f"{site.identity} does not grant it; remove it, or ask the platform team for a grant in the gateway's "
            "settings"
        )
        return Refusal(AcceptedReason.UPSTREAM_NOT_PERMITTED, message)
    return None


_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_CHAIN = (
    path_is_of_no_other_namespace,
    path_is_granted,
    hostnames_are_granted,
    upstreams_are_granted,
    hosts_are_granted,
)


def _is_inside(host: str, namespace: str) -> bool:
    """Whether a host can only be a Service of the namespace.

    The short form ``service.namespace`` does not count: where a namespace is called ``com``, the resolver would find
    the Internet behind it.
    """
    return host.endswith((f".{namespace}.svc", f".{namespace}.svc.cluster.local"))


def _settings(site: Site) -> GatewaySettings:
    if site.settings is None:
        raise AssertionError("nothing is placed at a gateway without settings")
    return site.settings


def _is_multi(site: Site) -> bool:
    return _settings(site).tenancy is Tenancy.MULTI


def _grants(site: Site, namespace: str) -> Iterator[Grant]:
    return (grant for grant in _settings(site).grants if grant.concerns(namespace))
