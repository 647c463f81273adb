"""Which replicas are asked: a protocol, and replicas that are known before.

Those of a run, and those that a command was given, are known before.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from ostiary_operator.view.admin_client import AdminPort
from ostiary_operator.view.evidence.gathered import ReplicaProblem
from ostiary_operator.view.evidence.proxy_scope import ProxyScope
from ostiary_operator.view.evidence.replica_requests import EvidencePort


@dataclass(frozen=True, slots=True)
class EvidencePorts:
    """The replicas to ask, and the gateways whose replicas are not known."""

    ports: tuple[EvidencePort, ...] = ()
    problems: tuple[ReplicaProblem, ...] = ()


class EvidencePortFinder(Protocol):
    """Finds the replicas to ask, each time: they come and go."""

    async def find(self, scope: ProxyScope) -> EvidencePorts:
        """Return the replicas that may serve these proxies.

        A gateway whose replicas cannot be found is a problem in the result, never an error.
        """
        ...


def evidence_port(port: AdminPort, *, operator_namespace: str) -> EvidencePort:
    """Return an admin port with what it may tell of.

    A gateway outside of the operator's namespace is one of a tenant. A port without a gateway's name was given by the
    user, or is that of a run: it may tell of everything.
    """
    namespace = port.identity.partition("/")[0]
    return EvidencePort(port, "" if namespace == operator_namespace else namespace)


class FixedPorts:
    """A finder that always finds the same replicas.

    Those that may not tell of any proxy that is wanted are left out.
    """

    def __init__(self, ports: Iterable[AdminPort], *, operator_namespace: str) -> None:
        self._ports = tuple(evidence_port(each, operator_namespace=operator_namespace) for each in ports)

    async def find(self, scope: ProxyScope) -> EvidencePorts:
        """Return them."""
        return EvidencePorts(tuple(port for port in self._ports if scope.parameters(port.only_namespace)))
