"""Where a host name of the cluster's DNS leads: to which Service, and through it to Pods of which namespace.

A Service is only as much of its namespace as its endpoints are. One of type ExternalName is an alias in the DNS. One
without a selector has the endpoints that somebody wrote, and so has any for which somebody wrote an EndpointSlice by
hand. What an address belongs to changes from one moment to the next, so an address in a URL is of no namespace.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from ostiary_operator.compile.model import NamespaceServices, Service

Services: TypeAlias = Mapping[str, NamespaceServices]
"""What is known, by namespace."""

#: Services of type ExternalName that may lead to one another; more are a mistake, and resolvers give up as well.
LONGEST_CHAIN: Final = 8

_CLUSTER_DOMAIN: Final = ".cluster.local"


class ServiceName(NamedTuple):
    """Names a Service."""

    namespace: str
    name: str

    @property
    def host(self) -> str:
        """Its name in the cluster's DNS, as entries hold it."""
        return f"{self.name}.{self.namespace}.svc"


def plain_host(host: str) -> str:
    """Return a host as names are compared: in lower case, without a final dot."""
    return host.lower().removesuffix(".")


def service_of(host: str) -> ServiceName | None:
    """Return the Service that a host can only be: ``name.namespace.svc``, also with ``cluster.local``, also of one Pod.

    The short form ``name.namespace`` does not count: where a namespace is called ``com``, the resolver would find the
    Internet behind it. Nor does any other cluster domain: it may be a domain of the Internet.
    """
    labels = plain_host(host).removesuffix(_CLUSTER_DOMAIN).split(".")
    if len(labels) < 3 or labels[-1] != "svc" or not all(labels):
        return None
    return ServiceName(namespace=labels[-2], name=labels[-3])


def is_in_cluster(host: str) -> bool:
    """Say whether a host is the name of a Service in the DNS of some cluster, whatever that cluster's domain is."""
    return host.endswith(".svc") or ".svc." in host


def spellings(host: str) -> tuple[str, ...]:
    """Return all names under which a host may be granted: of a Service, with the cluster's domain and without."""
    plain = plain_host(host)
    if service_of(plain) is None:
        return (plain,)
    short = plain.removesuffix(_CLUSTER_DOMAIN)
    return short, f"{short}{_CLUSTER_DOMAIN}"


def find(name: ServiceName, services: Services) -> Service | None:
    """Return a Service, if it is known."""
    known = services.get(name.namespace)
    return known.services.get(name.name) if known is not None else None


def is_missing(name: ServiceName, services: Services) -> bool:
    """Whether there is certainly no such Service."""
    known = services.get(name.namespace)
    return known is not None and known.complete and name.name not in known.services


def may_have_unseen_slices(name: ServiceName, services: Services) -> bool:
    """Whether somebody may have written EndpointSlices of the Service that the operator cannot see."""
    known = services.get(name.namespace)
    return known is not None and not known.slices_readable


class ServiceChain(NamedTuple):
    """Where a host leads within a namespace: to the last Service of the chain, or to a host outside (``exit``)."""

    chain: tuple[ServiceName, ...]
    exit: str | None = None
    endless: bool = False

    @property
    def last(self) -> ServiceName:
        """The Service that is not of type ExternalName, or leads outside."""
        return self.chain[-1]


def follow_chain(start: ServiceName, services: Services) -> ServiceChain:
    """Follow Services of type ExternalName as long as they stay in the namespace in which they began."""
    chain = [start]
    while (service := find(chain[-1], services)) is not None and service.external_name is not None:
        target = service_of(service.external_name)
        if target is None or target.namespace != start.namespace:
            return ServiceChain(tuple(chain), exit=plain_host(service.external_name))
        if target in chain or len(chain) >= LONGEST_CHAIN:
            return ServiceChain(tuple(chain), endless=True)
        chain.append(target)
    return ServiceChain(tuple(chain))
