"""Compiles which Services gateways observe, so that they connect to the Pods behind them.

Endpoints are observed by gateways and never compiled: a rollout needs no operator. What is compiled is where to look,
and whose EndpointSlices count.
"""

from typing import Final
from urllib.parse import urlsplit

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.contract.server_resilience import DiscoveryConfig
from ostiary_operator.api.server_places import RoutingType
from ostiary_operator.api.servers import Server
from ostiary_operator.compile import grants
from ostiary_operator.compile.backends import ServiceName, Services, find, service_of, spellings
from ostiary_operator.compile.gateway_settings import Site
from ostiary_operator.compile.routes import DEFAULT_PORTS

#: The settings that need endpoints.
_OF_ENDPOINTS: Final = {"routingType": "routing_type", "loadBalancer": "load_balancer", "healthCheck": "health_check"}
_NO_ENDPOINTS: Final = "is of type ExternalName and has no endpoints"
_OTHER_PORT: Final = "has no endpoints by port {}, as it is not TCP, or headless with another targetPort"


def discovery_of(server: Server, namespace: str, services: Services) -> DiscoveryConfig | None:
    """Return how the Pods of a server's Service are found; None where its name is to be used.

    The name is used of a Service that is an alias, that the operator does not know, or that has no such port in its
    EndpointSlices. A server of another operator has a Service where its URL names one.
    """
    if server.routing_type is not RoutingType.ENDPOINT:
        return None
    if server.service is not None:
        return _discovery(ServiceName(namespace, server.service.name), server.service.port, services)
    place = _place_of_reference(server, namespace)
    return _discovery(*place, services) if place is not None else None


def unobserved(server: Server, namespace: str, services: Services) -> str | None:
    """Return why a Service's address is used although its Pods are asked for.

    It is None where the Pods are observed, and where its owner meant the address: of an alias without a setting that
    has no effect at one place. Of a port that has no endpoints, its owner expects them.
    """
    if server.service is None or server.routing_type is not RoutingType.ENDPOINT:
        return None
    name = ServiceName(namespace, server.service.name)
    service = find(name, services)
    lost = [each for each, field in _OF_ENDPOINTS.items() if field in server.model_fields_set]
    if service is None or _discovery(name, server.service.port, services) is not None:
        return None
    if service.external_name is not None and not lost:
        return None
    why = _NO_ENDPOINTS if service.external_name is not None else _OTHER_PORT.format(server.service.port)
    effect = f", which ignores {', '.join(lost)}" if lost else ""
    return f"Service {namespace}/{name.name} {why}: requests go to its address{effect}"


def _place_of_reference(server: Server, namespace: str) -> tuple[ServiceName, int] | None:
    """Return the Service and port of a URL that another operator publishes, if it names one.

    A Service elsewhere than its resource is not its own, and a name with a Pod before it is one Pod.
    """
    if server.server_ref is None or server.url is None:
        return None
    url = urlsplit(server.url)
    name = service_of(url.hostname or "")
    if name is None or name.namespace != (server.server_ref.namespace or namespace):
        return None
    is_whole = name.host in spellings(url.hostname or "")
    return (name, url.port or DEFAULT_PORTS[url.scheme]) if is_whole else None


def _discovery(name: ServiceName, port: int, services: Services) -> DiscoveryConfig | None:
    service = find(name, services)
    if service is None or service.external_name is not None or port not in (names := dict(service.port_names)):
        return None
    return DiscoveryConfig(namespace=name.namespace, service=name.name, port=port, port_name=names[port], managed=True)


def judged(discovery: DiscoveryConfig | None, site: Site) -> DiscoveryConfig | None:
    """Return a discovery with the EndpointSlices that count at a gateway."""
    if discovery is None:
        return None
    managed = grants.needs_managed_slices(site, ServiceName(discovery.namespace, discovery.service))
    return discovery if managed == discovery.managed else discovery.model_copy(update={"managed": managed})


def current(server: ServerConfig, site: Site, services: Services) -> ServerConfig:
    """Return a server of a kept entry, with its Service and the settings as they are today."""
    kept = server.discovery
    if kept is None:
        return server
    name = ServiceName(kept.namespace, kept.service)
    service = find(name, services)
    if service is not None and service.external_name is not None:
        return server.model_copy(update={"discovery": None})
    # Where the Service, its port or the right to read it is gone, what was compiled stays.
    found = _discovery(name, kept.port, services) or kept
    return server.model_copy(update={"discovery": judged(found, site)})
