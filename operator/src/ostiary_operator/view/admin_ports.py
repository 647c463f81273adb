"""Finds the admin ports of the gateways that serve an MCPProxy, and the token for them.

The right to read a gateway's Secret is the right to read what its admin port shows, of all MCPProxies that it serves.
In most clusters it is the platform team's. A tenant has it for a gateway in a namespace of its own.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from ostiary_core.contract.key_names import evidence_secret_name, secret_name
from ostiary_core.errors import OstiaryError
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.api import labels
from ostiary_operator.compile.gateways import discover, elected
from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.delivery import secret
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import ENDPOINT_SLICE, PROXY, SECRET, SERVICE
from ostiary_operator.kube.read_only_client import ReadOnlyClient
from ostiary_operator.local.running_projects import RunningProject
from ostiary_operator.status import replicas
from ostiary_operator.view.admin_client import AdminPort
from ostiary_operator.view.cluster_reader import serving_gateways
from ostiary_operator.view.replica_relay import ReplicaRelay, other_way

_FIRST_LOCAL_PORT = 8081


class NoAdminPort(OstiaryError):
    """No admin port can be asked; the message says why, and what to do.

    ``is_forbidden`` says that a right is missing.
    """

    def __init__(self, message: str, *, is_forbidden: bool = False) -> None:
        super().__init__(message)
        self.is_forbidden = is_forbidden


@dataclass(frozen=True, slots=True)
class PortQuery:
    """Which admin ports are wanted.

    ``proxy`` is ``namespace/name``, empty for every gateway of ``namespace`` and all shared ones. ``urls`` are those
    that were given, instead of the addresses in EndpointSlices; ``token`` is the given one, else that of the Secret.
    ``for_evidence`` says that a token which only reads evidence is enough: it is in a Secret of its own. Evidence is
    asked for through ``relay``, if there is one, where an address does not answer.
    """

    namespace: str
    operator_namespace: str
    proxy: str = ""
    urls: Sequence[str] = ()
    token: SecretBytes | None = None
    for_evidence: bool = False
    relay: ReplicaRelay | None = None


def of_project(project: RunningProject) -> tuple[AdminPort, ...]:
    """Return the admin port of an ``ostiary run``."""
    return (AdminPort(project.url, "run", project.title, project.token),)


def of_urls(urls: Sequence[str], token: SecretBytes) -> tuple[AdminPort, ...]:
    """Return admin ports that were given with their token."""
    return tuple(AdminPort(url.rstrip("/"), url, url, token) for url in urls)


async def in_cluster(cluster: ReadOnlyClient, query: PortQuery) -> tuple[AdminPort, ...]:
    """Return the admin ports of a cluster's replicas.

    Raises:
        NoAdminPort: there is none, or a right is missing.
        ClusterError: the API server does not answer, or the MCPProxy does not exist.
    """
    found: list[AdminPort] = []
    for gateway in await _gateways(cluster, query):
        token = (
            query.token
            if query.token is not None
            else await read_token(cluster, gateway.identity, for_evidence=query.for_evidence)
        )
        if query.urls:
            return tuple(AdminPort(url.rstrip("/"), url, gateway.identity, token) for url in query.urls)
        found += await _replicas(cluster, gateway, token, query.relay if query.for_evidence else None)
    if not found:
        raise NoAdminPort("no gateway has a ready replica: see `ostiary doctor`")
    return tuple(found)


async def _gateways(cluster: ReadOnlyClient, query: PortQuery) -> tuple[DiscoveredGateway, ...]:
    """Return the gateways in question, by their Services."""
    wanted: tuple[str, ...] | None = None
    if query.proxy:
        namespace, _, name = query.proxy.partition("/")
        wanted = serving_gateways(await cluster.get(PROXY, namespace=namespace, name=name))
        if not wanted:
            raise NoAdminPort(f"no gateway serves MCPProxy {query.proxy}: see `ostiary doctor {name} -n {namespace}`")
    places = {query.namespace, query.operator_namespace}
    places |= {identity.partition("/")[0] for identity in wanted or ()}
    services = []
    for namespace in sorted(places):
        try:
            services += await cluster.list(SERVICE, namespace=namespace, selector=labels.GATEWAY)
        except Forbidden:
            if wanted is not None and any(identity.startswith(f"{namespace}/") for identity in wanted):
                raise NoAdminPort(_no_right("list the Services", namespace)) from None
    known = elected(discover(services, ()).gateways)
    return tuple(gateway for identity, gateway in known.items() if wanted is None or identity in wanted)


async def read_token(cluster: ReadOnlyClient, gateway: str, *, for_evidence: bool) -> SecretBytes:
    """Return the token of a gateway's admin port.

    With ``for_evidence`` it is one that only reads evidence, if that may be read.

    Raises:
        NoAdminPort: it may not be read, or there is none.
        ClusterError: the API server does not answer.
    """
    namespace, _, name = gateway.partition("/")
    if for_evidence:
        with contextlib.suppress(Forbidden, NotFound):
            keys = secret.parse_secret(await cluster.get(SECRET, namespace=namespace, name=evidence_secret_name(name)))
            if keys.evidence_token is not None:
                return keys.evidence_token
    own = secret_name(name)
    try:
        keys = secret.parse_secret(await cluster.get(SECRET, namespace=namespace, name=own))
    except Forbidden:
        wanted = f"{evidence_secret_name(name)} or {own}" if for_evidence else own
        raise NoAdminPort(_no_right(f"read the Secret {wanted}", namespace), is_forbidden=True) from None
    except NotFound:
        keys = secret.Keys()
    if for_evidence and keys.evidence_token is not None:
        return keys.evidence_token
    if keys.admin_token is None:
        raise NoAdminPort(f"gateway {gateway} has no token yet: its Secret {own} does not exist, or is empty")
    return keys.admin_token


def _no_right(what: str, namespace: str) -> str:
    return (
        f"you may not {what} of namespace {namespace}, and the token of the gateway's admin port is needed: who has it "
        "may read what every MCPProxy at that gateway captures. Ask the platform team, or give --admin and --token-file"
    )


async def ready_ports(
    cluster: ReadOnlyClient, gateway: str, *, service: str, token: SecretBytes, relay: ReplicaRelay | None = None
) -> tuple[AdminPort, ...]:
    """Return the admin ports of the ready replicas of a gateway.

    For evidence ``relay`` may lead to them where their addresses do not answer.

    Raises:
        ClusterError: the API server does not answer, or its EndpointSlices may not be listed.
    """
    selector, namespace = f"{labels.SERVICE_NAME}={service}", gateway.partition("/")[0]
    found = replicas.from_slices(await cluster.list(ENDPOINT_SLICE, namespace=namespace, selector=selector))
    return tuple(AdminPort(each.url, each.name, gateway, token, other_way(relay, namespace, each)) for each in found)


async def _replicas(
    cluster: ReadOnlyClient, gateway: DiscoveredGateway, token: SecretBytes, relay: ReplicaRelay | None
) -> tuple[AdminPort, ...]:
    try:
        return await ready_ports(cluster, gateway.identity, service=gateway.service, token=token, relay=relay)
    except Forbidden:
        raise NoAdminPort(
            f"you may not list the EndpointSlices of namespace {gateway.namespace}: forward a port, and give its URL\n"
            f"{forwarding(gateway.namespace, [f'service/{gateway.service}'])}"
        ) from None


def forwarding(namespace: str, targets: Sequence[str]) -> str:
    """Return commands that make replicas reachable, and the arguments that name them."""
    numbered = list(enumerate(targets, _FIRST_LOCAL_PORT))
    commands = [
        f" kubectl -n {namespace} port-forward {target} {port}:{labels.ADMIN_PORT} &" for port, target in numbered
    ]
    given = " ".join(f"--admin http://127.0.0.1:{port}" for port, _ in numbered)
    return "\n".join([*commands, f"and run the command again with {given}"])


def unreachable(ports: Sequence[AdminPort], problem: str) -> str:
    """Return what to do where no replica can be reached.

    Usually that is because Pods cannot be reached from outside a cluster.
    """
    first = ports[0]
    text = f"no replica can be reached from here ({first.replica}: {problem})"
    namespace, separator, _ = first.gateway.partition("/")
    if not separator or first.replica == first.url or " " in first.gateway:
        return f"{text}: does the gateway run, and is this the URL of its admin port?"
    of_gateway = [f"pod/{port.replica}" for port in ports if port.gateway == first.gateway]
    return f"{text}. Forward their ports\n{forwarding(namespace, of_gateway)}"
