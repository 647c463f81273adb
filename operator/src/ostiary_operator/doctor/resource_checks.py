"""The checks of the resource itself.

They verify that it exists, and that its conditions and those of its policies are good.
"""

from collections.abc import Mapping
from typing import Any

from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.doctor.diagnosis import Case, CheckResult, CheckState, broken, ok, unknown, warning
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import POLICY, PROXY
from ostiary_operator.status.builder import condition_of
from ostiary_operator.view import rows

_GONE = "wait for the operator to process this, and create the policy again if it was deleted by mistake"


async def exists(case: Case) -> CheckResult:
    """Check that the MCPProxy exists."""
    try:
        case.proxy = await case.cluster.get(PROXY, namespace=case.namespace, name=case.name)
    except NotFound:
        names = sorted(each["metadata"]["name"] for each in await case.cluster.list(PROXY, namespace=case.namespace))
        there = f"there are {', '.join(names[:10])}" if names else "there is none"
        return broken(f"there is no MCPProxy {case.identity}", f"correct name or namespace: {there}")
    if "deletionTimestamp" in case.proxy["metadata"]:
        return warning("it is being deleted", "wait, or check its finalizers: Ostiary sets none")
    return ok(f"generation {case.proxy['metadata']['generation']}")


async def accepted(case: Case) -> CheckResult:
    """Check that it is valid and permitted (Accepted), and that no gateway blocks it."""
    blocked = rows.condition(case.proxy, ConditionType.UNBLOCKED)
    if blocked.status == ConditionStatus.FALSE:
        return broken(f"{blocked.reason}: {blocked.message}", blocked.remedy)
    return _condition(case, ConditionType.ACCEPTED, "valid and permitted")


async def resolved_refs(case: Case) -> CheckResult:
    """Check that everything that it refers to was found (ResolvedRefs)."""
    return _condition(case, ConditionType.RESOLVED_REFS, "everything that it refers to was found")


async def programmed(case: Case) -> CheckResult:
    """Check that every ready replica runs it, according to its status (Programmed)."""
    case.proxy = await case.cluster.get(PROXY, namespace=case.namespace, name=case.name)
    counts = (
        f"{each.get('name')} {each.get('ready')}/{each.get('desired')}" for each in case.status.get("gateways") or ()
    )
    return _condition(case, ConditionType.PROGRAMMED, f"every ready replica runs it: {', '.join(counts)}")


def _condition(case: Case, of_type: ConditionType, well: str) -> CheckResult:
    judged = rows.condition(case.proxy, of_type)
    if judged.ready:
        return ok(well)
    return broken(f"{judged.reason}: {judged.message}", judged.remedy or "see the message")


async def policies(case: Case) -> CheckResult:
    """Check that every policy that governs it is valid."""
    named = case.status.get("policies") or ()
    if not named:
        return warning(
            "no policy governs it: the gateway's setting withoutPolicy decides for all clients",
            "create an MCPPolicy with a targetRef to it",
        )
    for each in named:
        finding = await _policy(case, each)
        if finding is not None:
            return finding
    return ok(", ".join(f"{each.get('namespace')}/{each.get('name')}" for each in named))


async def auth_discovery(case: Case) -> CheckResult:
    """Check that OAuth clients find the authorization server (AuthDiscovery)."""
    if condition_of(case.status, ConditionType.AUTH_DISCOVERY) is None:
        return ok("the gateway authenticates callers, if policies require it, and not the server")
    return _observed(case, ConditionType.AUTH_DISCOVERY, "clients find the authorization server of the server")


async def endpoints_observed(case: Case) -> CheckResult:
    """Check that gateways know where the Pods behind its Services are (EndpointsObserved)."""
    if condition_of(case.status, ConditionType.ENDPOINTS_OBSERVED) is None:
        return ok("gateways observe no endpoints for it: it names no Service, or uses the Service's address")
    counts = [
        f"{each.get('name')}: {each['endpoints']}" for each in case.status.get("servers") or () if "endpoints" in each
    ]
    well = f"gateways observe the Pods behind its Services ({'; '.join(counts) or 'not counted yet'})"
    return _observed(case, ConditionType.ENDPOINTS_OBSERVED, well)


def _observed(case: Case, of_type: ConditionType, well: str) -> CheckResult:
    """Return the result of a condition that is not part of Ready: no link is broken by it."""
    judged = rows.condition(case.proxy, of_type)
    if judged.ready:
        return ok(well)
    finding = f"{judged.reason}: {judged.message.partition(f'. {judged.remedy}')[0]}"
    if judged.status == ConditionStatus.UNKNOWN:
        return unknown(finding, judged.remedy)
    return warning(finding, judged.remedy or "see the message")


async def _policy(case: Case, reference: Mapping[str, Any]) -> CheckResult | None:
    """Return the result if a policy is invalid or may not be read, else None."""
    namespace, name = str(reference.get("namespace")), str(reference.get("name"))
    try:
        policy = await case.cluster.get(POLICY, namespace=namespace, name=name)
    except Forbidden:
        return unknown(f"you may not read MCPPolicy {namespace}/{name}, which governs it")
    except NotFound:
        return broken(f"MCPPolicy {namespace}/{name}, which governs it, does not exist", _GONE)
    for of_type in (ConditionType.ACCEPTED, ConditionType.RESOLVED_REFS):
        judged = rows.condition(policy, of_type)
        if not judged.ready:
            what = f"MCPPolicy {namespace}/{name}: {judged.reason}: {judged.message}"
            return CheckResult(CheckState.BROKEN, what, judged.remedy or "see the message")
    judged = rows.condition(policy, ConditionType.EFFECTIVE)
    if judged.status == ConditionStatus.FALSE:
        return warning(f"MCPPolicy {namespace}/{name}: {judged.reason}: {judged.message}", judged.remedy)
    return None
