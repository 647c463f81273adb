"""The addresses of the API server: read with one narrow right, cached, and reported once where the right is missing."""

import logging
from typing import Any

import pytest
from operator_objects import populated

from ostiary_operator.kube.api_servers import ApiServerReader
from ostiary_operator.kube.changed_namespaces import EVERYTHING, NOTHING, ChangedNamespaces
from ostiary_operator.kube.errors import Busy, Forbidden
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import ENDPOINT_SLICE


def listens_at(cluster: FakeClient, *addresses: Any, namespace: str = "default") -> None:
    endpoints = [{"addresses": [address]} for address in addresses]
    cluster.put(ENDPOINT_SLICE, {"metadata": {"name": "kubernetes", "namespace": namespace}, "endpoints": endpoints})


async def test_the_addresses_are_those_of_the_slice_of_the_default_namespace_alone() -> None:
    cluster = populated()
    listens_at(cluster, "192.0.2.9", namespace="tools")
    assert await ApiServerReader(cluster).read() == ()
    listens_at(cluster, "192.0.2.2", "192.0.2.1", "api.example.com", None, "fd00::1")
    assert await ApiServerReader(cluster).read() == ("192.0.2.1", "192.0.2.2", "fd00::1")


async def test_they_are_read_again_when_they_may_have_changed_and_not_before() -> None:
    cluster, warnings = populated(), list[str]()
    listens_at(cluster, "192.0.2.1")
    it = ApiServerReader(cluster, on_seen=lambda kind, obj: warnings.append(f"{kind.name} {obj['metadata']['name']}"))
    assert await it.read(NOTHING) == ("192.0.2.1",)
    listens_at(cluster, "192.0.2.2")
    assert await it.read(ChangedNamespaces.within(["tools"])) == ("192.0.2.1",)
    assert await it.read(ChangedNamespaces.within(["default"])) == ("192.0.2.2",)
    assert warnings == ["EndpointSlice kubernetes"] * 2


async def test_a_missing_right_is_logged_once_with_its_fix_and_the_snapshot_stays(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cluster = populated()
    listens_at(cluster, "192.0.2.1")
    it = ApiServerReader(cluster)
    await it.read()
    cluster.fail("get", ENDPOINT_SLICE, Forbidden("cannot get resource"), times=3)
    with caplog.at_level(logging.WARNING):
        assert [await it.read(EVERYTHING) for _ in range(3)] == [("192.0.2.1",)] * 3
    assert [record.getMessage() for record in caplog.records if "rbac.apiServerEndpoints" in record.getMessage()] == [
        caplog.records[0].getMessage()
    ]
    assert "cannot get resource" in caplog.records[0].getMessage()


async def test_without_the_right_from_the_beginning_the_operator_continues() -> None:
    cluster = populated()
    cluster.fail("get", ENDPOINT_SLICE, Forbidden("no"))
    assert await ApiServerReader(cluster).read() == ()


async def test_an_endpoint_slice_that_is_missing_for_a_moment_removes_no_replica() -> None:
    cluster = populated()
    listens_at(cluster, "192.0.2.1")
    it = ApiServerReader(cluster)
    await it.read()
    cluster.remove(ENDPOINT_SLICE, name="kubernetes", namespace="default")
    assert await it.read() == ("192.0.2.1",)
    cluster.fail("get", ENDPOINT_SLICE, Busy("503"))
    with pytest.raises(Busy):
        await it.read()
