"""Resolves host names of the cluster's DNS to Services, and to the namespace of their Pods.

A Service belongs to its namespace only if its endpoints do. One of type ExternalName is a DNS alias. One without a
selector has endpoints written by hand, and so has any Service with a handwritten EndpointSlice. The owner of an IP
address changes at any time, so an address in a URL belongs to no namespace.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from ostiary_operator.compile.model import NamespaceServices, Service

Services: TypeAlias = Mapping[str, NamespaceServices]
"""The known Services, by namespace."""

#: The longest chain of Services of type ExternalName; longer ones are a mistake, and resolvers give up as well.
LONGEST_CHAIN: Final = 8

_CLUSTER_DOMAIN: Final = ".cluster.local"


class ServiceName(NamedTuple):
    """Names a Service."""

    namespace: str
    name: str

    @property
    def host(self) -> str:
        """Its name in the cluster's DNS, as entries contain it."""
        return f"{self.name}.{self.namespace}.svc"


def plain_host(host: str) -> str:
    """Return a host normalized for comparison: in lower case, without a trailing dot."""
    return host.lower().removesuffix(".")


def service_of(host: str) -> ServiceName | None:
    """Return the Service of a host ``name.namespace.svc``; ``cluster.local`` may follow.

    A Pod's name may precede it. The short form ``name.namespace`` does not count: with a namespace ``com`` it may be a
    public domain. Other cluster domains do not count either, for the same reason.
    """
    labels = plain_host(host).removesuffix(_CLUSTER_DOMAIN).split(".")
    if len(labels) < 3 or labels[-1] != "svc" or not all(labels):
        return None
    return ServiceName(namespace=labels[-2], name=labels[-3])


def is_in_cluster(host: str) -> bool:
    """Return whether a host is the name of a Service in the DNS of a cluster of any domain."""
    return host.endswith(".svc") or ".svc." in host


def spellings(host: str) -> tuple[str, ...]:
    """Return the names by which a host may be granted; a Service also with the cluster domain."""
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
    """Return whether the Service certainly does not exist."""
    known = services.get(name.namespace)
    return known is not None and known.complete and name.name not in known.services


def may_have_unseen_slices(name: ServiceName, services: Services) -> bool:
    """Return whether the Service may have EndpointSlices that the operator may not list."""
    known = services.get(name.namespace)
    return known is not None and not known.slices_readable


class ServiceChain(NamedTuple):
    """A chain of ExternalName Services in a namespace; ``exit`` is the host outside, if any."""

    chain: tuple[ServiceName, ...]
    exit: str | None = None
    endless: bool = False

    @property
    def last(self) -> ServiceName:
        """The Service at the end: not of type ExternalName, or an alias of a host outside."""
        return self.chain[-1]


def follow_chain(start: ServiceName, services: Services) -> ServiceChain:
    """Follow Services of type ExternalName while they stay in the namespace of the first."""
    chain = [start]
    while (service := find(chain[-1], services)) is not None and service.external_name is not None:
        target = service_of(service.external_name)
        if target is None or target.namespace != start.namespace:
            return ServiceChain(tuple(chain), exit=plain_host(service.external_name))
        if target in chain or len(chain) >= LONGEST_CHAIN:
            return ServiceChain(tuple(chain), endless=True)
        chain.append(target)
    return ServiceChain(tuple(chain))
