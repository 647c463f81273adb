from typing import Any, cast

import pytest

from ostiary_operator.api.upstream_reasons import AuthDiscoveryReason
from ostiary_operator.doctor.diagnosis import Case, CheckState, Options
from ostiary_operator.doctor.resource_checks import auth_discovery
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
