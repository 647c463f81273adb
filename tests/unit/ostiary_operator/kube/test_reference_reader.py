"""Which ConfigMaps, Secrets and Services are read, and when they are read again."""

import base64
from typing import Any

import pytest
from operator_objects import SYSTEM, populated

from ostiary_operator.compile.model import Missing, NamespaceServices, ReferenceKey, Service
from ostiary_operator.kube import reference_reader
from ostiary_operator.kube.changed_namespaces import EVERYTHING, NOTHING, ChangedNamespaces
from ostiary_operator.kube.errors import Busy, Forbidden
from ostiary_operator.kube.fake import FakeClient, add_namespaces
from ostiary_operator.kube.kinds import CONFIG_MAP, ENDPOINT_SLICE, SECRET, SERVICE
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.kube.reference_reader import ServiceReader

WHOLE = OperatorOptions(operator_namespace=SYSTEM)
SELECTED = Service(ports=frozenset({80}), port_names=((80, ""),))


def data(**texts: str) -> dict[str, str]:
    return {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}


async def test_references_are_read_and_a_secret_only_with_its_label() -> None:
    cluster = populated()
    for name, labels in {"open": {"ostiary.dev/usage": "ca"}, "closed": {}}.items():
        metadata = {"name": name, "namespace": "tools", "labels": labels}
        cluster.put(SECRET, {"metadata": metadata, "data": {**data(ca="PEM"), "binary": "/////w=="}})
    cluster.put(CONFIG_MAP, {"metadata": {"name": "ca", "namespace": "tools"}, "data": {"ca.crt": "PEM"}})
    keys = {name: ReferenceKey("Secret", "tools", name) for name in ("open", "closed", "none")}
    found = await reference_reader.ReferenceReader(cluster).resolve(
        [*keys.values(), ReferenceKey("ConfigMap", "tools", "ca")]
    )
    assert found == {
        keys["open"]: {"ca": "PEM"},
        keys["closed"]: Missing.NOT_LABELLED,
        keys["none"]: Missing.NOT_FOUND,
        ReferenceKey("ConfigMap", "tools", "ca"): {"ca.crt": "PEM"},
    }


async def test_a_reference_is_read_again_only_after_a_change_and_forgotten_when_unused() -> None:
    cluster = populated()
    one, two = (ReferenceKey("ConfigMap", namespace, "ca") for namespace in ("sales", "tools"))
    it = reference_reader.ReferenceReader(cluster)

    async def written(text: str, moved: ChangedNamespaces, *wanted: ReferenceKey) -> list[object]:
        for key in (one, two):
            cluster.put(CONFIG_MAP, {"metadata": {"name": "ca", "namespace": key.namespace}, "data": {"ca": text}})
        return list((await it.resolve(wanted, moved)).values())

    assert await written("1", NOTHING, one, two) == [{"ca": "1"}, {"ca": "1"}]
    assert await written("2", ChangedNamespaces.within(["tools"]), one, two) == [{"ca": "1"}, {"ca": "2"}]
    assert await written("3", NOTHING, two) == [{"ca": "2"}]
    assert await written("4", NOTHING, one, two) == [{"ca": "4"}, {"ca": "2"}]
    assert await written("5", EVERYTHING, one, two) == [{"ca": "5"}, {"ca": "5"}]


async def test_a_private_key_in_a_secret_is_not_kept() -> None:
    cluster = populated()
    pair = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\nhush\n"
    metadata = {"name": "pair", "namespace": "tools", "labels": {"ostiary.dev/usage": "ca"}}
    cluster.put(SECRET, {"metadata": metadata, "data": data(pair=pair)})
    key = ReferenceKey("Secret", "tools", "pair")
    assert await reference_reader.ReferenceReader(cluster).resolve([key]) == {
        key: {"pair": "-----BEGIN EC PRIVATE KEY-----"}
    }


async def test_the_operators_own_secrets_can_never_be_referred_to() -> None:
    cluster = populated()
    labels = {"ostiary.dev/usage": "config", "ostiary.dev/config": "default"}
    metadata = {"name": "ostiary-default", "namespace": SYSTEM, "labels": labels}
    cluster.put(SECRET, {"metadata": metadata, "data": data(token="t")})
    key = ReferenceKey("Secret", SYSTEM, "ostiary-default")
    assert await reference_reader.ReferenceReader(cluster).resolve([key]) == {key: Missing.NOT_LABELLED}


async def test_a_missing_right_is_an_answer_and_a_failure_is_none() -> None:
    cluster = populated()
    key = ReferenceKey("Secret", "tools", "ca")
    cluster.fail("get", SECRET, Forbidden("no"))
    assert await reference_reader.ReferenceReader(cluster).resolve([key]) == {key: Missing.FORBIDDEN}
    cluster.fail("get", SECRET, Busy("503"))
    with pytest.raises(Busy):
        await reference_reader.ReferenceReader(cluster).resolve([key])


def has(cluster: FakeClient, namespace: str, name: str = "crm", **spec: Any) -> None:
    given = spec or {"selector": {"app": "a"}, "ports": [{"port": 80}]}
    cluster.put(SERVICE, {"metadata": {"name": name, "namespace": namespace}, "spec": given})


def has_slice(cluster: FakeClient, name: str, *, by: str | None = None) -> None:
    labels = {"kubernetes.io/service-name": "crm"} | ({"endpointslice.kubernetes.io/managed-by": by} if by else {})
    cluster.put(ENDPOINT_SLICE, {"metadata": {"name": name, "namespace": "tools", "labels": labels}})


async def test_services_are_known_with_all_that_says_where_their_endpoints_are() -> None:
    cluster = populated()
    has(cluster, "tools")
    has(cluster, "tools", "alias", type="ExternalName", externalName="a.example.com")
    has(cluster, "tools", "headless", clusterIP="None", selector={"app": "a"})
    has(cluster, "tools", "by-hand", ports=[{"port": 80}])
    has_slice(cluster, "crm-abc", by="endpointslice-controller.k8s.io")
    has_slice(cluster, "mirrored", by="endpointslicemirroring-controller.k8s.io")
    has_slice(cluster, "written")
    assert (await ServiceReader(cluster, WHOLE).read(["tools"]))["tools"] == NamespaceServices(
        {
            "crm": Service(ports=frozenset({80}), port_names=((80, ""),), foreign_slices=("mirrored", "written")),
            "alias": Service(external_name="a.example.com", has_selector=False),
            "headless": Service(),
            "by-hand": Service(ports=frozenset({80}), port_names=((80, ""),), has_selector=False),
        }
    )


async def test_only_changed_services_are_read_again_and_unused_ones_forgotten() -> None:
    cluster = populated()
    it = ServiceReader(cluster, WHOLE)
    assert set((await it.read(["tools", "sales"]))["sales"].services) == set()
    for namespace in ("tools", "sales"):
        has(cluster, namespace)
    found = await it.read(["tools", "sales"], ChangedNamespaces.within(["tools"]))
    assert (set(found["tools"].services), set(found["sales"].services)) == ({"crm"}, set())
    assert set(await it.read(["tools"], NOTHING)) == {"tools"}
    assert (await it.read(["tools", "sales"], NOTHING))["sales"].services == {"crm": SELECTED}


async def test_of_many_namespaces_the_whole_cluster_is_read_with_the_same_outcome() -> None:
    cluster = populated()
    names = [f"n{number}" for number in range(40)]
    add_namespaces(cluster, names)
    for name in names:
        has(cluster, name)
    many = await ServiceReader(cluster, WHOLE).read(names)
    narrow = OperatorOptions(operator_namespace=SYSTEM, watch_namespaces=tuple(names))
    assert many == await ServiceReader(cluster, narrow).read(names)
    assert many == {name: NamespaceServices({"crm": SELECTED}) for name in names}


async def test_without_the_right_to_see_endpoint_slices_that_is_known_and_a_failure_is_no_answer() -> None:
    cluster = populated()
    has(cluster, "tools")
    cluster.fail("list", ENDPOINT_SLICE, Forbidden("no"))
    assert not (await ServiceReader(cluster, WHOLE).read(["tools"]))["tools"].slices_readable
    cluster.fail("list", ENDPOINT_SLICE, Busy("503"))
    with pytest.raises(Busy):
        await ServiceReader(cluster, WHOLE).read(["tools"])


async def test_the_services_in_use_are_known_before_they_are_read() -> None:
    told: list[Any] = []
    cluster = populated()
    has(cluster, "tools")
    it = ServiceReader(
        cluster,
        WHOLE,
        follow=lambda namespaces: told.append(set(namespaces)),
        on_seen=lambda kind, obj: told.append(f"{kind.name} {obj['metadata']['name']}"),
    )
    await it.read(["tools"])
    assert told == [{"tools"}, "Service crm"]
