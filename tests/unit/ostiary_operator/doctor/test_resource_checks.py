from typing import Any, cast

import pytest

from ostiary_operator.api.endpoint_reasons import EndpointsObservedReason
from ostiary_operator.api.reasons import Reason
from ostiary_operator.api.upstream_reasons import AuthDiscoveryReason
from ostiary_operator.doctor.diagnosis import Case, CheckFunction, CheckState, Options
from ostiary_operator.doctor.resource_checks import auth_discovery, endpoints_observed
from ostiary_operator.kube.read_only_client import ReadOnlyClient

TYPES: dict[CheckFunction, str] = {auth_discovery: "AuthDiscovery", endpoints_observed: "EndpointsObserved"}


def case(*conditions: dict[str, Any]) -> Case:
    proxy = {"metadata": {"name": "crm", "namespace": "tools", "generation": 1}, "status": {"conditions": conditions}}
    return Case(cast("ReadOnlyClient", None), Options(), "tools", "crm", proxy=proxy)


def condition(of_type: str, status: str, reason: Reason) -> dict[str, Any]:
    message = f"cause. {reason.remedy}"
    return {"type": of_type, "status": status, "reason": str(reason), "message": message, "observedGeneration": 1}


@pytest.mark.parametrize("check", TYPES)
async def test_a_proxy_without_passthrough_or_without_a_service_has_nothing_to_check(check: CheckFunction) -> None:
    assert (await check(case())).state is CheckState.OK


@pytest.mark.parametrize(
    ("check", "status", "reason", "state"),
    [
        (auth_discovery, "True", AuthDiscoveryReason.COMPLETE, CheckState.OK),
        (auth_discovery, "Unknown", AuthDiscoveryReason.SERVER_UNAVAILABLE, CheckState.UNKNOWN),
        (auth_discovery, "False", AuthDiscoveryReason.NO_AUTHORIZATION_SERVER, CheckState.WARNING),
        (endpoints_observed, "True", EndpointsObservedReason.OBSERVED, CheckState.OK),
        (endpoints_observed, "Unknown", EndpointsObservedReason.NOT_LISTED, CheckState.UNKNOWN),
        (endpoints_observed, "False", EndpointsObservedReason.NOT_PERMITTED, CheckState.WARNING),
    ],
)
async def test_what_gateways_observe_to_be_missing_is_a_warning_with_the_fix(
    check: CheckFunction, status: str, reason: Reason, state: CheckState
) -> None:
    result = await check(case(condition(TYPES[check], status, reason)))
    assert result.state is state
    if state is not CheckState.OK:
        assert (result.detail, result.remedy) == (f"{reason}: cause", reason.remedy)


async def test_the_endpoints_of_each_server_are_counted() -> None:
    checked = case(condition("EndpointsObserved", "True", EndpointsObservedReason.OBSERVED))
    checked.proxy["status"]["servers"] = [{"name": "crm", "endpoints": "3 ready"}, {"name": "docs"}]

    assert "crm: 3 ready" in (await endpoints_observed(checked)).detail
