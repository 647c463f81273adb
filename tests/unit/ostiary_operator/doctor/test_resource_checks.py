from typing import Any, cast

import pytest

from ostiary_operator.api.endpoint_reasons import EndpointsObservedReason
from ostiary_operator.api.upstream_reasons import AuthDiscoveryReason
from ostiary_operator.doctor.diagnosis import Case, CheckState, Options
from ostiary_operator.doctor.resource_checks import auth_discovery, endpoints_observed
from ostiary_operator.kube.kubeconfig import ReadOnlyClient


def case(*conditions: dict[str, Any]) -> Case:
    proxy = {"metadata": {"name": "crm", "namespace": "tools", "generation": 1}, "status": {"conditions": conditions}}
    return Case(cast("ReadOnlyClient", None), Options(), "tools", "crm", proxy=proxy)


def discovery(status: str, reason: AuthDiscoveryReason) -> dict[str, Any]:
    message = f"cause. {reason.remedy}"
    return {
        "type": "AuthDiscovery", "status": status, "reason": str(reason), "message": message, "observedGeneration": 1
    }  # fmt: skip


async def test_a_proxy_without_passthrough_has_nothing_to_check() -> None:
    assert (await auth_discovery(case())).state is CheckState.OK


@pytest.mark.parametrize(
    ("status", "reason", "state"),
    [
        ("True", AuthDiscoveryReason.COMPLETE, CheckState.OK),
        ("Unknown", AuthDiscoveryReason.SERVER_UNAVAILABLE, CheckState.UNKNOWN),
        ("False", AuthDiscoveryReason.NO_AUTHORIZATION_SERVER, CheckState.WARNING),
    ],
)
async def test_a_missing_step_of_discovery_is_a_warning_with_the_fix(
    status: str, reason: AuthDiscoveryReason, state: CheckState
) -> None:
    result = await auth_discovery(case(discovery(status, reason)))
    assert result.state is state
    if state is not CheckState.OK:
        assert (result.detail, result.remedy) == (f"{reason}: cause", reason.remedy)


def observed(status: str, reason: EndpointsObservedReason) -> dict[str, Any]:
    message = f"server crm at gateway a/b: cause. {reason.remedy}"
    return {
        "type": "EndpointsObserved", "status": status, "reason": str(reason), "message": message,
        "observedGeneration": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "reason", "state"),
    [
        ("True", EndpointsObservedReason.OBSERVED, CheckState.OK),
        ("Unknown", EndpointsObservedReason.NOT_LISTED, CheckState.UNKNOWN),
        ("False", EndpointsObservedReason.NOT_PERMITTED, CheckState.WARNING),
    ],
)
async def test_a_gateway_that_may_not_observe_endpoints_is_a_warning_with_the_fix(
    status: str, reason: EndpointsObservedReason, state: CheckState
) -> None:
    result = await endpoints_observed(case(observed(status, reason)))
    assert result.state is state
    if state is not CheckState.OK:
        assert (result.detail, result.remedy) == (f"{reason}: server crm at gateway a/b: cause", reason.remedy)


async def test_the_endpoints_of_each_server_are_counted() -> None:
    checked = case(observed("True", EndpointsObservedReason.OBSERVED))
    checked.proxy["status"]["servers"] = [{"name": "crm", "endpoints": "3 ready"}, {"name": "docs"}]

    assert "crm: 3 ready" in (await endpoints_observed(checked)).detail


async def test_a_proxy_without_a_service_has_no_pods_to_observe() -> None:
    assert (await endpoints_observed(case())).state is CheckState.OK
