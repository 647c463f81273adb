"""The chain, in the order in which one link hangs on the other; the walk ends at the first that is broken."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from ostiary_operator.doctor import door, gateways, installation, operators, resource, running
from ostiary_operator.doctor.model import Case, Check, CheckResult, CheckState, broken, unknown
from ostiary_operator.kube.errors import ClusterError, Forbidden

CHAIN: Final = (
    Check("API server", installation.api_server),
    Check("definitions", installation.definitions),
    Check("resource", resource.exists),
    Check("operator", operators.operator),
    Check("gateways", gateways.services),
    Check("settings", gateways.settings),
    Check("accepted", resource.accepted),
    Check("references", resource.resolved_refs),
    Check("policies", resource.policies),
    Check("config", gateways.config),
    Check("endpoints", gateways.endpoints),
    Check("running", running.running),
    Check("programmed", resource.programmed),
    Check("address", door.address),
    Check("door", door.handshake),
    Check("server", door.server),
)

_SHARED: Final = {"API server", "definitions", "operator", "gateways", "settings", "config", "endpoints"}
#: What can be looked at without any MCPProxy.
INSTALLATION: Final = (*(link for link in CHAIN if link.name in _SHARED), Check("resource", installation.nothing_more))


async def walk(case: Case, chain: Sequence[Check] = CHAIN) -> AsyncIterator[tuple[Check, CheckResult]]:
    """Yield each link with what was found, up to the first that is broken."""
    for link in chain:
        finding = await _looked_at(link, case)
        yield link, finding
        if finding.state is CheckState.BROKEN:
            return


async def _looked_at(link: Check, case: Case) -> CheckResult:
    try:
        return await link.check(case)
    except Forbidden as error:
        return unknown(f"you may not look at it: {error}")
    except ClusterError as error:
        return broken(str(error), "see whether the API server is up, and whether your kubeconfig leads to it")
