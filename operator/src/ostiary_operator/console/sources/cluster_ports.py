"""Finds the replicas of a cluster's gateways, and the token that opens their evidence.

Only the gateways that serve what is wanted are looked for. What may not be read, or is not there, is told for each
gateway: a person may see the proxies of one gateway and not of another.
"""

import asyncio
from collections.abc import Collection
from typing import Final

from ostiary_core.contract.key_names import evidence_secret_name
from ostiary_operator.api.objects import identity_of
from ostiary_operator.console.sources.memory import ShortMemory
from ostiary_operator.console.sources.protocols import ConsoleObjects, SourceUnavailable
from ostiary_operator.kube.errors import ClusterError, Forbidden
from ostiary_operator.kube.read_only_client import ReadOnlyClient
from ostiary_operator.view import admin_ports
from ostiary_operator.view.admin_ports import NoAdminPort
from ostiary_operator.view.cluster_reader import serving_gateways
from ostiary_operator.view.evidence.gathered import ProblemKind, ReplicaProblem
from ostiary_operator.view.evidence.port_finders import EvidencePorts, evidence_port
from ostiary_operator.view.evidence.proxy_scope import ProxyScope
from ostiary_operator.view.replica_relay import ReplicaRelay

#: Seconds for which the replicas of a gateway are kept: one that was replaced is asked in vain for so long.
_SECONDS: Final = 5.0
#: Gateways whose replicas are kept.
_GATEWAYS: Final = 1024
_NO_RIGHT: Final = (
    "you may not read the token of its admin port: ask for the right to get the Secret {secret} in namespace "
    "{namespace}"
)


class ClusterPorts:
    """Implements :class:`~ostiary_operator.view.evidence.port_finders.EvidencePortFinder`.

    ``relay`` leads to replicas whose addresses do not answer from here.
    """

    def __init__(
        self,
        cluster: ReadOnlyClient,
        objects: ConsoleObjects,
        *,
        operator_namespace: str,
        relay: ReplicaRelay | None = None,
        seconds: float = _SECONDS,
    ) -> None:
        self._cluster = cluster
        self._objects = objects
        self._operator_namespace = operator_namespace
        self._relay = relay
        self._found = ShortMemory(self._of_gateway, seconds=seconds, most=_GATEWAYS)

    async def find(self, scope: ProxyScope) -> EvidencePorts:
        """Return the ready replicas of the gateways that serve these proxies."""
        try:
            wanted = await self._gateways(scope)
            services = {identity: each.service for identity, each in (await self._objects.gateways()).items()}
        except SourceUnavailable as error:
            return EvidencePorts((), (ReplicaProblem("", "", ProblemKind.UNREACHABLE, str(error)),))
        keys = [(identity, services.get(identity)) for identity in sorted(services if wanted is None else wanted)]
        found = await asyncio.gather(*(self._found.get(key) for key in keys))
        ports = [port for each in found for port in each.ports if scope.parameters(port.only_namespace)]
        return EvidencePorts(tuple(ports), tuple(problem for each in found for problem in each.problems))

    async def _gateways(self, scope: ProxyScope) -> Collection[str] | None:
        """Return the identities of the gateways that serve these proxies; None for all gateways."""
        if scope.named is None and not scope.namespace:
            return None
        proxies = await self._objects.proxies()
        served = (proxy for proxy in proxies if scope.covers(identity_of(proxy)))
        return {identity for proxy in served for identity in serving_gateways(proxy)}

    async def _of_gateway(self, key: tuple[str, str | None]) -> EvidencePorts:
        identity, service = key
        if service is None:
            return _problem(identity, ProblemKind.NO_RIGHT, "its Service may not be read, or does not exist")
        try:
            token = await admin_ports.read_token(self._cluster, identity, for_evidence=True)
            found = await admin_ports.ready_ports(
                self._cluster, identity, service=service, token=token, relay=self._relay
            )
        except Forbidden as error:
            return _problem(identity, ProblemKind.NO_RIGHT, f"its replicas may not be listed: {error}")
        except ClusterError as error:
            return _problem(identity, ProblemKind.UNREACHABLE, str(error))
        except NoAdminPort as error:
            return self._without_token(identity, error)
        if not found:
            return _problem(identity, ProblemKind.NO_REPLICA, "it has no ready replica")
        return EvidencePorts(
            tuple(evidence_port(each, operator_namespace=self._operator_namespace) for each in found), ()
        )

    @staticmethod
    def _without_token(identity: str, error: NoAdminPort) -> EvidencePorts:
        if not error.is_forbidden:
            return _problem(identity, ProblemKind.NO_REPLICA, str(error))
        namespace, _, name = identity.partition("/")
        words = _NO_RIGHT.format(namespace=namespace, secret=evidence_secret_name(name))
        return _problem(identity, ProblemKind.NO_RIGHT, words)


def _problem(identity: str, kind: ProblemKind, why: str) -> EvidencePorts:
    return EvidencePorts((), (ReplicaProblem(identity, "", kind, why),))
