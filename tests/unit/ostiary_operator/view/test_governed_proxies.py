import golden_cases
import pytest
from operator_objects import GATEWAY, SYSTEM, service

from ostiary_operator.api.objects import Object
from ostiary_operator.clock import ManualClock
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.gateways import discover
from ostiary_operator.delivery.writer import ConfigWriter
from ostiary_operator.kube.cluster_snapshot import GatewayObjects
from ostiary_operator.kube.errors import Forbidden
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import CONFIG_MAP, PROXY, SERVICE
from ostiary_operator.local.governed_proxy import UnknownProxy
from ostiary_operator.view.governed_proxies import read

FIRST = "ostiary-default-0"


class FakeReader(FakeClient):
    """A cluster as users read it."""

    async def document(self, path: str) -> Object:
        raise AssertionError(path)


async def cluster_with(case: str, *, status: bool = True) -> FakeReader:
    """A cluster with the compiled config of a golden case, whose proxy is team-a/crm."""
    cluster = FakeReader()
    cluster.put(SERVICE, service())
    resources = golden_cases.load(case).steps[0].resources
    config = compile_resources(resources, {}).configs[GATEWAY]
    found = cluster.peek(SERVICE, namespace=SYSTEM, name="ostiary-gateway-default")
    assert found is not None
    writer = ConfigWriter(cluster, ManualClock())
    await writer.deliver(discover([found], []).gateways[0], config, GatewayObjects({}, None), acknowledged=None)
    gateways = [{"namespace": SYSTEM, "name": "default"}] if status else []
    cluster.put(PROXY, {"metadata": {"namespace": "team-a", "name": "crm"}, "status": {"gateways": gateways}})
    return cluster


async def test_a_proxy_is_read_with_all_policies_that_its_gateway_runs() -> None:
    cluster = await cluster_with("both-tiers-must-allow")
    proxy = await read(cluster, namespace="team-a", name="crm")
    assert proxy.entry.identity == "team-a/crm"
    assert {policy.tier for policy in proxy.policies} == {"platform", "owner"}


async def test_a_proxy_that_does_not_exist_is_named() -> None:
    cluster = await cluster_with("both-tiers-must-allow")
    with pytest.raises(UnknownProxy, match="there is no MCPProxy team-a/erp: correct the name or -n"):
        await read(cluster, namespace="team-a", name="erp")


async def test_a_proxy_that_no_gateway_serves_points_to_its_status() -> None:
    cluster = await cluster_with("both-tiers-must-allow", status=False)
    with pytest.raises(UnknownProxy, match="no gateway serves it; `ostiary status` says why"):
        await read(cluster, namespace="team-a", name="crm")


async def test_a_missing_right_and_a_missing_part_are_errors_with_their_reason() -> None:
    cluster = await cluster_with("both-tiers-must-allow")
    cluster.fail("get", CONFIG_MAP, Forbidden("no"), name=FIRST)
    with pytest.raises(UnknownProxy, match="you may not read the config of gateway ostiary-system/default"):
        await read(cluster, namespace="team-a", name="crm")
    body = cluster.peek(CONFIG_MAP, namespace=SYSTEM, name=FIRST)
    assert body is not None
    files = {name: text for name, text in body["data"].items() if "manifest" in name}
    cluster.put(CONFIG_MAP, {"metadata": {"namespace": SYSTEM, "name": FIRST}, "data": files})
    with pytest.raises(UnknownProxy, match="the config of gateway ostiary-system/default cannot be read"):
        await read(cluster, namespace="team-a", name="crm")
