"""The operator as its own service account, with the chart's roles and not one right more."""

import asyncio
from collections.abc import Iterator

import pytest
from operator_environment import OperatorEnvironment, eventually, running_operator
from operator_replicas import chart_rights

from ostiary_operator.controller.app import OperatorStartupError, run_operator
from ostiary_operator.kube.kinds import CONFIG_MAP, PROXY, SECRET
from ostiary_tools.cluster.control_plane import ControlPlane


@pytest.fixture
def world(unrestricted: OperatorEnvironment) -> OperatorEnvironment:
    return unrestricted


@pytest.fixture(params=["whole cluster", "one namespace"])
def restricted(
    control_plane: ControlPlane, world: OperatorEnvironment, request: pytest.FixtureRequest
) -> Iterator[OperatorEnvironment]:
    world.wide = request.param == "whole cluster"
    with chart_rights(control_plane, world):
        yield world


async def test_the_charts_roles_are_enough_for_the_whole_line(restricted: OperatorEnvironment) -> None:
    async with running_operator(restricted.options()):
        restricted.has_proxy("crm")
        restricted.has_policy("p", "crm")
        await eventually(lambda: restricted.served() is not None and "crm" in (restricted.served() or ()))
        await eventually(lambda: restricted.condition(PROXY, "crm", "Accepted") == ("True", "Accepted"))
        restricted.patch(CONFIG_MAP, "ostiary-default-0", {"data": {"manifest.json": "{}"}})
        await eventually(lambda: "crm" in (restricted.served() or ()))

        def has_event() -> bool:
            path = f"/apis/events.k8s.io/v1/namespaces/{restricted.team}/events"
            return any(item["reason"] == "Accepted" for item in restricted.api.request("GET", path)["items"])

        await eventually(has_event)


async def test_a_secret_that_may_not_be_read_is_a_condition_with_its_remedy(restricted: OperatorEnvironment) -> None:
    references = [{"kind": "Secret", "name": "ca"}]
    server = {"name": "s", "url": "https://mock.tools/mcp", "tls": {"caCertificateRefs": references}}
    async with running_operator(restricted.options()):
        restricted.has_proxy("crm", servers=[server])
        await eventually(lambda: restricted.condition(PROXY, "crm", "ResolvedRefs") == ("False", "NotPermitted"))


async def test_a_missing_right_is_named_with_verb_and_resource(
    control_plane: ControlPlane, world: OperatorEnvironment
) -> None:
    world.kubeconfig = control_plane.kubeconfig_for_service_account(world.system, "default")
    with pytest.raises(OperatorStartupError, match='cannot list resource "'):
        await run_operator(world.options(startup_timeout=1.5), asyncio.Event())
    assert world.get(SECRET, "ostiary-default") is None
