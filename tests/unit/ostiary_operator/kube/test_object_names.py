from collections.abc import Iterator
from typing import Any

import pytest
from table_server import TableServer, table_server

from ostiary_operator.kube.errors import Busy, ClusterError, NotFound, Unreachable
from ostiary_operator.kube.kubeconfig_files import ApiServerAccess
from ostiary_operator.kube.object_names import NamedObject, named_objects

SECONDS = 100.0
PROXIES = "/apis/ostiary.dev/v1alpha1/namespaces/sales/mcpproxies"


@pytest.fixture
def api() -> Iterator[TableServer]:
    with table_server() as server:
        yield server


def access(server: str) -> ApiServerAccess:
    return ApiServerAccess(server, "sales", None, {"Authorization": "Bearer hunter2"})


def asked(api: TableServer, kind: str = "proxies") -> list[NamedObject]:
    return named_objects(access(api.url), kind, namespace="sales", seconds=SECONDS)


def test_names_have_the_columns_that_say_something_in_a_few_words(api: TableServer) -> None:
    api.tables[PROXIES] = [{"name": "crm", "Ready": "True", "Reason": "Ready", "URL": "http://a/mcp", "Age": "2d"}]
    assert asked(api) == [NamedObject("crm", "True Ready http://a/mcp")]
    assert api.asked == [f"{PROXIES}?limit=500&includeObject=Metadata"]


def test_gateways_have_the_names_of_their_labels_and_not_of_their_services(api: TableServer) -> None:
    services = "/api/v1/namespaces/sales/services"
    api.tables[services] = [{"name": "ostiary-edge", "labels": {"ostiary.dev/gateway": "edge"}}]
    assert asked(api, "gateways") == [NamedObject("edge")]
    assert api.asked == [f"{services}?labelSelector=ostiary.dev%2Fgateway&limit=500&includeObject=Metadata"]


def test_a_namespace_is_no_way_to_another_path(api: TableServer) -> None:
    with pytest.raises(NotFound):
        named_objects(access(api.url), "proxies", namespace="../../secrets?", seconds=SECONDS)
    assert "/namespaces/..%2F..%2Fsecrets%3F/mcpproxies" in api.asked[0]


def test_a_kind_that_is_not_installed_is_not_found(api: TableServer) -> None:
    with pytest.raises(NotFound) as refused:
        asked(api)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("rows", [[{}], [{"name": "a", "labels": None}], [{"name": None}]])
def test_a_table_that_lies_is_no_accident(api: TableServer, rows: list[Any]) -> None:
    api.tables["/api/v1/namespaces/sales/services"] = [{"name": "", **row} for row in rows]
    with pytest.raises(Busy, match="answers no table"):
        asked(api, "gateways")


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="does not answer"):
        named_objects(access("http://127.0.0.1:1"), "proxies", namespace="sales", seconds=SECONDS)


def test_every_error_is_one_of_the_cluster(api: TableServer) -> None:
    with pytest.raises(ClusterError):
        asked(api, "namespaces")
