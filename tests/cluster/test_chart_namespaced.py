"""The operator with the rights of two namespaces and the Secrets of one, as `ci/namespaced-values.yaml` gives them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from mcp_clients import connect

from ostiary_tools.cluster.certificates import write_authority_and_server
from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.processes import wait_until

VALUES = {"rbac": {"aggregate": False}, "watchNamespaces": ["sales", "support"], "secretNamespaces": ["sales"]}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("cluster"), values=VALUES) as running:
        running.kubectl("create", "namespace", "elsewhere")
        yield running


def create(cluster: LocalCluster, *objects: dict[str, Any]) -> None:
    cluster.kubectl("create", "-f", "-", input=yaml.safe_dump_all(objects))


def proxy(namespace: str, name: str, **server: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": metadata,
        "spec": {"servers": [{"name": "main", **server}]},
    }


def authority(tmp_path: Any) -> str:
    write_authority_and_server(tmp_path, names=["crm"], addresses=["127.0.0.1"])
    return str((tmp_path / "ca.crt").read_text())


def condition(cluster: LocalCluster, namespace: str, name: str, of_type: str) -> dict[str, Any]:
    conditions = cluster.proxy(name, namespace=namespace).get("status", {}).get("conditions", ())
    return next((each for each in conditions if each["type"] == of_type), {})


async def test_objects_in_a_watched_namespace_are_served(cluster: LocalCluster) -> None:
    create(cluster, proxy("support", "desk", url=cluster.mock_url))
    cluster.wait_until_ready("desk", namespace="support")
    async with connect(cluster.endpoint(path="/support/desk"), era="modern") as client:
        assert len((await client.list_tools()).tools) == 15


def test_a_secret_can_be_referred_to_only_where_it_may_be_read(cluster: LocalCluster, tmp_path: Any) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"ca.crt": authority(tmp_path)}}
    tls = {"caCertificateRefs": [{"kind": "Secret", "name": "ca"}]}
    for namespace in ("sales", "support"):
        labels = {"ostiary.dev/usage": "ca"}
        create(cluster, secret | {"metadata": {"name": "ca", "namespace": namespace, "labels": labels}})
        create(cluster, proxy(namespace, "crm", url="https://127.0.0.1:9/mcp", tls=tls))
        wait_until(
            lambda where=namespace: condition(cluster, where, "crm", "ResolvedRefs")["status"] != "Unknown",  # type: ignore[misc]
            what="a verdict",
        )
    assert condition(cluster, "sales", "crm", "ResolvedRefs")["status"] == "True"
    refused = condition(cluster, "support", "crm", "ResolvedRefs")
    assert (refused["status"], refused["reason"]) == ("False", "NotPermitted")


def test_objects_in_other_namespaces_are_ignored(cluster: LocalCluster) -> None:
    create(cluster, proxy("elsewhere", "crm", url=cluster.mock_url), proxy("sales", "later", url=cluster.mock_url))
    cluster.wait_until_ready("later", namespace="sales")
    conditions = cluster.proxy("crm", namespace="elsewhere")["status"]["conditions"]
    assert {each["message"] for each in conditions} == {"Waiting for the operator."}


def test_transitions_are_reported_as_events_where_they_happen(cluster: LocalCluster) -> None:
    create(cluster, proxy("support", "told", url=cluster.mock_url))
    cluster.wait_until_ready("told", namespace="support")

    def has_condition() -> bool:
        found = json.loads(cluster.kubectl("get", "events", "-n", "support", "-o", "json"))["items"]
        return any(event["involvedObject"]["name"] == "told" for event in found)

    wait_until(has_condition, what="an Event")
