"""The chain of checks, in the order of their dependencies.

It ends at the first broken link.
"""

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
    Check("handshake", door.handshake),
    Check("server", door.server),
)

_SHARED: Final = {"API server", "definitions", "operator", "gateways", "settings", "config", "endpoints"}
#: The checks that need no MCPProxy.
INSTALLATION: Final = (*(link for link in CHAIN if link.name in _SHARED), Check("resource", installation.nothing_more))


async def run_checks(case: Case, chain: Sequence[Check] = CHAIN) -> AsyncIterator[tuple[Check, CheckResult]]:
    """Run the checks; yield each with its result, up to the first that is broken."""
    for check in chain:
        result = await _run(check, case)
        yield check, result
        if result.state is CheckState.BROKEN:
            return


async def _run(check: Check, case: Case) -> CheckResult:
    try:
        return await check.run(case)
    except Forbidden as error:
        return unknown(f"you may not read it: {error}")
    except ClusterError as error:
        return broken(str(error), "check that the API server is up, and that your kubeconfig names the right one")
