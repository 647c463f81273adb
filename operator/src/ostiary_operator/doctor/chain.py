"""The chain, in the order in which one link hangs on the other; the walk ends at the first that is broken."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from ostiary_operator.doctor import door, gateways, installation, operators, resource, running
from ostiary_operator.doctor.model import Case, Finding, Link, State, broken, unknown
from ostiary_operator.kube.errors import ClusterError, Forbidden

CHAIN: Final = (
    Link("API server", installation.api_server),
    Link("definitions", installation.definitions),
    Link("resource", resource.exists),
    Link("operator", operators.operator),
    Link("gateways", gateways.services),
    Link("settings", gateways.settings),
    Link("accepted", resource.accepted),
    Link("references", resource.resolved_refs),
    Link("policies", resource.policies),
    Link("config", gateways.config),
    Link("endpoints", gateways.endpoints),
    Link("running", running.running),
    Link("programmed", resource.programmed),
    Link("address", door.address),
    Link("door", door.handshake),
    Link("server", door.server),
)

_SHARED: Final = {"API server", "definitions", "operator", "gateways", "settings", "config", "endpoints"}
#: What can be looked at without any MCPProxy.
INSTALLATION: Final = (*(link for link in CHAIN if link.name in _SHARED), Link("resource", installation.nothing_more))


async def walk(case: Case, chain: Sequence[Link] = CHAIN) -> AsyncIterator[tuple[Link, Finding]]:
    """Yield each link with what was found, up to the first that is broken."""
    for link in chain:
        finding = await _looked_at(link, case)
        yield link, finding
        if finding.state is State.BROKEN:
            return


async def _looked_at(link: Link, case: Case) -> Finding:
    try:
        return await link.check(case)
    except Forbidden as error:
        return unknown(f"you may not look at it: {error}")
    except ClusterError as error:
        return broken(str(error), "see whether the API server is up, and whether your kubeconfig leads to it")
