"""Reads a cluster for `ostiary status` and `ostiary get`, with the rights of a viewer.

The resources themselves must be readable. The Service and the config of a gateway are shown if they may be read, else
omitted with a note.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ostiary_core.contract import manifest_files
from ostiary_core.contract.manifest import Manifest, parse_manifest
from ostiary_core.contract.parts import config_map_name
from ostiary_core.errors import ContractError
from ostiary_operator.api import labels
from ostiary_operator.api.objects import Object
from ostiary_operator.compile.gateways import discover, elected, gateway_of
from ostiary_operator.delivery import reader
from ostiary_operator.kube.errors import ClusterError, Forbidden, NotFound
from ostiary_operator.kube.kinds import CONFIG_MAP, POLICY, PROXY, SERVICE
from ostiary_operator.kube.read_only_client import ReadOnlyClient


@dataclass(frozen=True, slots=True)
class GatewayOverview:
    """A gateway: its Service and the manifest of its config, if they may be read.

    The manifest's MAC is not checked, since users may not read its key; ``ostiary doctor`` checks it if they may.
    """

    identity: str
    service: str | None = None
    manifest: Manifest | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    """The digest of each entry, by its proxy (``namespace/name``)."""
    problem: str = ""
    """Why the manifest cannot be shown; empty if there is one, or no config at all."""

    @classmethod
    def of(cls, identity: str, service: str | None, manifest: Manifest | None, problem: str = "") -> "GatewayOverview":
        """Return a gateway with the digests of its manifest."""
        entries = manifest.entries if manifest is not None else ()
        return cls(identity, service, manifest, {entry.proxy: entry.digest for entry in entries}, problem)

    def lacks(self, proxy: str) -> bool:
        """Return whether a proxy is known to be missing in its config."""
        return not self.problem and proxy not in self.digests


@dataclass(frozen=True, slots=True)
class ClusterOverview:
    """The resources and gateways of a cluster. ``notes`` say what could not be read, and why."""

    proxies: tuple[Object, ...] = ()
    policies: tuple[Object, ...] = ()
    gateways: Mapping[str, GatewayOverview] = field(default_factory=dict)
    """By identity."""
    notes: tuple[str, ...] = ()


async def read_overview(cluster: ReadOnlyClient, *, namespace: str | None, operator_namespace: str) -> ClusterOverview:
    """Read the resources of a namespace, or of all (None), and the gateways that serve them.

    Raises:
        ClusterError: the resources themselves cannot be read.
    """
    proxies = tuple(await cluster.list(PROXY, namespace=namespace))
    policies = tuple(await cluster.list(POLICY, namespace=namespace))
    namespaces = None if namespace is None else (namespace,)
    gateways, notes = await read_gateways(
        cluster, proxies, namespaces=namespaces, operator_namespace=operator_namespace
    )
    return ClusterOverview(proxies, policies, gateways, tuple(notes))


async def read_gateways(
    cluster: ReadOnlyClient,
    proxies: Iterable[Mapping[str, Any]],
    *,
    namespaces: Collection[str] | None,
    operator_namespace: str,
) -> tuple[dict[str, GatewayOverview], list[str]]:
    """Return by identity the gateways of some namespaces, or of all (None).

    Those that serve the proxies are among them. The second result says what could not be read, and why.
    """
    places = {operator_namespace, *(namespaces or ())}
    services, notes = await _services(cluster, everywhere=namespaces is None, namespaces=sorted(places))
    identities = {identity: each.service for identity, each in elected(discover(services, ()).gateways).items()}
    serving = {identity: identities.get(identity) for proxy in proxies for identity in serving_gateways(proxy)}
    gateways = {}
    for identity, service in sorted((identities | serving).items()):
        manifest, problem = await read_manifest(cluster, identity)
        gateways[identity] = GatewayOverview.of(identity, service, manifest, problem)
        notes += [problem or f"gateway {identity} has no config yet"] if manifest is None else []
    return gateways, notes


async def _services(
    cluster: ReadOnlyClient, *, everywhere: bool, namespaces: Iterable[str]
) -> tuple[list[Object], list[str]]:
    """Return the Services of gateways that may be read, and notes about the others."""
    found: list[Object] = []
    notes: list[str] = []
    for namespace in (None,) if everywhere else namespaces:
        try:
            found += await cluster.list(SERVICE, namespace=namespace, selector=labels.GATEWAY)
        except Forbidden:
            where = f"of namespace {namespace}" if namespace else "of all namespaces"
            notes.append(f"you may not list the Services {where}: gateways there show only where a status names them")
    return found, notes


async def read_manifest(cluster: ReadOnlyClient, identity: str) -> tuple[Manifest | None, str]:
    """Return the manifest of a gateway's config, or None and the problem.

    Without a config both are empty.
    """
    namespace, _, name = identity.partition("/")
    try:
        config_map = await cluster.get(CONFIG_MAP, namespace=namespace, name=config_map_name(name, 0))
        return parse_manifest(manifest_files.read(reader.files_of(config_map), None)), ""
    except NotFound:
        return None, ""
    except Forbidden:
        return None, f"you may not read the config of gateway {identity}: digests are not shown"
    except (ContractError, ClusterError) as error:
        return None, f"the config of gateway {identity} cannot be shown: {error}"


def gateway_identity(service: Mapping[str, Any]) -> str:
    """Return the identity of the gateway that a Service declares."""
    return "/".join(gateway_of(service))


def serving_gateways(proxy: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the identities of the gateways that an MCPProxy's status names."""
    named = (proxy.get("status") or {}).get("gateways") or ()
    return tuple(f"{each.get('namespace')}/{each.get('name')}" for each in named)
